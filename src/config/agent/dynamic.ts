// The cluster's own configuration (the `config` key) with defaults, floors and the rule between the three times. Pure:
// every member computes the same from the same key; the key itself is never rewritten.

import { asBigint, isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { isStandbyCluster } from '../../cluster/summary.ts'
import { fileOnlyKeys } from './known.ts'
import { slotWishes } from './slots.ts'
import { readStandby } from './standby.ts'
import type { DynamicConfig, SynchronousMode } from './types.ts'
import { readBoolean, readInteger, readSeconds } from './units.ts'

interface Times {
  readonly ttl: number
  readonly loopWait: number
  readonly retryTimeout: number
}

const DEFAULTS: Times = { ttl: 30, loopWait: 10, retryTimeout: 10 }
const FLOORS: Times = { ttl: 20, loopWait: 1, retryTimeout: 3 }
const SHORT_FLOORS: Times = { ttl: 3, loopWait: 1, retryTimeout: 1 }
const LAG_BYTES = 1_048_576n
const DRAIN_SECONDS = 5
/** New sessions wait at the proxies meanwhile: an hour of it would be an outage that somebody ordered by mistake. */
const DRAIN_SECONDS_MAX = 600

/** By default; who asks for less knows his machines. */
const HUNG_SECONDS_MIN = 60
/** Two knocks. */
const HUNG_SECONDS_LEAST = 5
const HUNG_SECONDS_MAX = 3_600

/** Names that count only while the new name is absent. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  primary_start_timeout: 'master_start_timeout',
  primary_stop_timeout: 'master_stop_timeout',
}

/**
 * The effective dynamic configuration. `raw` is the `config` key (undefined: all defaults); short leases count only
 * when `everyMemberHasPgherd`, because other agents have no fence that is independent of their loop.
 */
export function dynamicConfig(raw: JsonObject | undefined, everyMemberHasPgherd: boolean): DynamicConfig {
  const reading = new Reading(raw ?? {})
  const config = readAll(reading, everyMemberHasPgherd)
  return { ...config, warnings: reading.warnings.map(({ key, says }) => `${key}: ${says}`) }
}

/** The warnings alone, each with its key: for a file that knows the key's line. */
export function dynamicWarnings(raw: JsonObject): readonly DynamicWarning[] {
  const reading = new Reading(raw)
  readAll(reading, true)
  return reading.warnings
}

function readAll(reading: Reading, everyMemberHasPgherd: boolean): Omit<DynamicConfig, 'warnings'> {
  const shortTtl = readShortTtl(reading, everyMemberHasPgherd)
  const times = readTimes(reading, shortTtl ? SHORT_FLOORS : FLOORS)
  const postgresql = reading.raw['postgresql']
  const useSlots = isObject(postgresql) ? readBoolean(postgresql['use_slots']) : undefined
  if (isObject(postgresql)) warnFileOnly(reading, postgresql)
  const slots = slotWishes(reading.raw)
  reading.warnings.push(...slots.warnings)
  const standby = readStandby(reading.raw)
  for (const says of standby.warnings) reading.warn('standby_cluster', says)
  return {
    ttlSeconds: times.ttl,
    loopWaitSeconds: times.loopWait,
    retryTimeoutSeconds: times.retryTimeout,
    maximumLagOnFailoverBytes: readLag(reading),
    checkTimeline: reading.boolean('check_timeline', true),
    primaryStartTimeoutSeconds: reading.integer('primary_start_timeout', 300, 0),
    primaryStopTimeoutSeconds: reading.integer('primary_stop_timeout', 0, 0),
    memberSlotsTtlSeconds: readSlotsTtl(reading),
    maxTimelinesHistory: reading.integer('max_timelines_history', 0, 0),
    isPaused: reading.boolean('pause', false),
    synchronousMode: readSynchronousMode(reading),
    isSynchronousStrict: reading.boolean('synchronous_mode_strict', false),
    synchronousNodeCount: reading.integer('synchronous_node_count', 1, 1),
    maximumLagOnSyncnodeBytes: readSyncnodeLag(reading),
    isFailsafeMode: reading.boolean('failsafe_mode', false) && standby.source === undefined,
    primaryRaceBackoffSeconds: reading.integer('primary_race_backoff', 0, 0),
    shortTtl,
    drainTimeoutSeconds: readDrainTimeout(reading),
    hungAfterSeconds: readHungAfter(reading, times.ttl),
    useSlots: useSlots ?? true,
    rebuildsStarved: readOwn(reading, 'rebuild_starved_replicas'),
    permanentSlots: slots.permanent,
    ignoredSlots: slots.ignored,
    standbyCluster: standby.source,
    raw: reading.raw,
  }
}

/** What was refused or changed, with the top key that it is about. */
export interface DynamicWarning {
  readonly key: string
  readonly says: string
}

class Reading {
  readonly raw: JsonObject
  readonly warnings: DynamicWarning[] = []

  constructor(raw: JsonObject) {
    this.raw = raw
  }

  value(name: string): Json | undefined {
    const value = this.raw[name] ?? undefined
    const oldName = OLD_NAMES[name]
    return value !== undefined || oldName === undefined ? value : (this.raw[oldName] ?? undefined)
  }

  integer(name: string, fallback: number, minimum: number): number {
    const value = this.value(name)
    if (value === undefined) return fallback
    const whole = readInteger(value)
    if (whole === undefined) return this.refuse(name, 'a whole number', fallback)
    if (whole >= minimum) return whole
    this.warn(name, `${whole} is below the minimum: ${minimum} is used`)
    return minimum
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.value(name)
    if (value === undefined) return fallback
    return readBoolean(value) ?? this.refuse(name, 'true or false', fallback)
  }

  refuse<T>(name: string, expected: string, fallback: T): T {
    this.warn(name, `expected ${expected}: ${fallback === undefined ? 'no limit' : String(fallback)} is used`)
    return fallback
  }

  /** The warning names the key that was really there, be it the old name. */
  warn(name: string, says: string): void {
    const oldName = OLD_NAMES[name]
    const isOld = oldName !== undefined && (this.raw[name] ?? null) === null
    this.warnings.push({ key: isOld ? oldName : name, says })
  }
}

function warnFileOnly(reading: Reading, postgresql: JsonObject): void {
  const names = Object.keys(postgresql).filter(key => fileOnlyKeys.has(key) && postgresql[key] !== null)
  if (names.length > 0)
    reading.warn(
      'postgresql',
      `${names.join(', ')}: counts in a member's own file alone, and has no effect here`,
    )
}

/** A switch of ours, off unless it is on. */
function readOwn(reading: Reading, name: string): boolean {
  const own = reading.raw['pgherd']
  return isObject(own) && readBoolean(own[name]) === true
}

function readShortTtl(reading: Reading, everyMemberHasPgherd: boolean): boolean {
  const isWanted = readOwn(reading, 'short_ttl')
  if (isWanted && !everyMemberHasPgherd) {
    reading.warn('pgherd', 'short_ttl is refused while a member without pgherd is in the cluster')
  }
  return isWanted && everyMemberHasPgherd
}

function readDrainTimeout(reading: Reading): number {
  const own = reading.raw['pgherd']
  const value = isObject(own) ? (own['drain_timeout'] ?? undefined) : undefined
  if (value === undefined) return DRAIN_SECONDS
  const seconds = readSeconds(value)
  if (seconds !== undefined && seconds >= 0 && seconds <= DRAIN_SECONDS_MAX) return seconds
  const expected = `drain_timeout: expected a duration from 0 to ${DRAIN_SECONDS_MAX} s, such as 5s or 1min`
  reading.warn('pgherd', `${expected}: ${DRAIN_SECONDS}s is used`)
  return DRAIN_SECONDS
}

/**
 * A machine that is only busy must not lose its lead: a storm of connections on two cores kept a good server from answering
 * for ten seconds, and changing the leader in it made it worse.
 */
function readHungAfter(reading: Reading, ttl: number): number {
  const fallback = Math.max(2 * ttl, HUNG_SECONDS_MIN)
  const own = reading.raw['pgherd']
  const value = isObject(own) ? (own['hung_after'] ?? undefined) : undefined
  if (value === undefined) return fallback
  const seconds = readSeconds(value)
  if (seconds === 0 || readBoolean(value) === false) return 0
  if (seconds !== undefined && seconds >= HUNG_SECONDS_LEAST && seconds <= HUNG_SECONDS_MAX) return seconds
  const expected = `hung_after: expected 0 (off) or a duration from ${HUNG_SECONDS_LEAST} s to ${HUNG_SECONDS_MAX} s`
  reading.warn('pgherd', `${expected}: ${fallback}s is used`)
  return fallback
}

/** A leader must be able to miss one turn and to retry twice within its lease: loop_wait + 2 * retry_timeout <= ttl. */
function readTimes(reading: Reading, floors: Times): Times {
  const ttl = reading.integer('ttl', DEFAULTS.ttl, floors.ttl)
  const loopWait = reading.integer('loop_wait', DEFAULTS.loopWait, floors.loopWait)
  const retryTimeout = reading.integer('retry_timeout', DEFAULTS.retryTimeout, floors.retryTimeout)
  if (loopWait + 2 * retryTimeout <= ttl) return { ttl, loopWait, retryTimeout }
  const fitting =
    1 + 2 * retryTimeout > ttl
      ? { ttl, loopWait: 1, retryTimeout: Math.floor((ttl - 1) / 2) }
      : { ttl, loopWait: ttl - 2 * retryTimeout, retryTimeout }
  reading.warn(
    retryTimeout * 2 + 1 > ttl ? 'retry_timeout' : 'loop_wait',
    `makes loop_wait ${loopWait} + 2 * retry_timeout ${retryTimeout} more than ttl ${ttl}: ` +
      `loop_wait ${fitting.loopWait} and retry_timeout ${fitting.retryTimeout} are used${meantFailsafe(reading, ttl)}`,
  )
  return fitting
}

/** A huge retry_timeout is an old trick to keep the leader through a loss of etcd. */
function meantFailsafe(reading: Reading, ttl: number): string {
  const isTrick = reading.integer('retry_timeout', 0, 0) > 100 * ttl
  return isTrick ? '; to keep the leader while etcd is lost, failsafe_mode: true is what is meant' : ''
}

function readLag(reading: Reading): bigint {
  const value = reading.value('maximum_lag_on_failover')
  if (value === undefined) return LAG_BYTES
  const lag = asBigint(value)
  return lag === undefined || lag < 0n
    ? reading.refuse('maximum_lag_on_failover', 'a number of bytes', LAG_BYTES)
    : lag
}

/** A standby cluster's commits come from elsewhere: there is nothing to confirm. */
function readSynchronousMode(reading: Reading): SynchronousMode {
  const value = reading.value('synchronous_mode')
  if (value === undefined) return 'off'
  const isQuorum = typeof value === 'string' && value.toLowerCase() === 'quorum'
  const isOn = isQuorum ? true : readBoolean(value)
  if (isOn === undefined) return reading.refuse('synchronous_mode', 'on, off or quorum', 'off')
  if (!isOn || isStandbyCluster(reading.raw)) return 'off'
  return isQuorum ? 'quorum' : 'on'
}

function readSyncnodeLag(reading: Reading): bigint | undefined {
  const value = reading.value('maximum_lag_on_syncnode')
  if (value === undefined) return undefined
  const lag = asBigint(value)
  if (lag === undefined) return reading.refuse('maximum_lag_on_syncnode', 'a number of bytes', undefined)
  return lag > 0n ? lag : undefined
}

function readSlotsTtl(reading: Reading): number {
  const value = reading.value('member_slots_ttl')
  if (value === undefined) return 1800
  const seconds = readSeconds(value)
  return seconds === undefined || seconds < 0
    ? reading.refuse('member_slots_ttl', 'a duration like 30min', 1800)
    : seconds
}
