// The parameters that the cluster decides for all its members: a standby with smaller values than its primary could
// not start, so no single node may set them. Pure.

import type { Json, JsonObject } from '../../cluster/json.ts'
import { readBoolean, readBytes, readInteger } from './units.ts'

interface Controlled {
  readonly fallback: string
  readonly accepts: string
  /** The value as PostgreSQL takes it; undefined when it is refused. */
  readonly read: (value: Json) => string | undefined
}

const MEGABYTE = 2 ** 20
const SEGMENT_MEGABYTES = 16

function atLeast(minimum: number, fallback: number): Controlled {
  return {
    fallback: String(fallback),
    accepts: `a whole number from ${minimum}`,
    read: value => {
      const whole = readInteger(value)
      return whole === undefined || whole < minimum ? undefined : String(whole)
    },
  }
}

function flag(fallback: 'on' | 'off', only?: 'on'): Controlled {
  return {
    fallback,
    accepts: only === undefined ? 'on or off' : 'on',
    read: value => {
      const isOn = readBoolean(value)
      if (isOn === undefined || (only === 'on' && !isOn)) return undefined
      return isOn ? 'on' : 'off'
    },
  }
}

const walLevel: Controlled = {
  fallback: 'replica',
  accepts: 'hot_standby, replica or logical',
  read: value => {
    const level = typeof value === 'string' ? value.toLowerCase() : ''
    if (level === 'hot_standby' || level === 'replica') return 'replica'
    return level === 'logical' ? 'logical' : undefined
  },
}

const walKeepSize: Controlled = {
  fallback: '128MB',
  accepts: 'a size from 16MB',
  read: value => {
    const bytes = readBytes(value, MEGABYTE)
    if (bytes === undefined || bytes < SEGMENT_MEGABYTES * MEGABYTE) return undefined
    return `${Math.floor(bytes / MEGABYTE)}MB`
  },
}

const commandLine: Readonly<Record<string, Controlled>> = {
  wal_level: walLevel,
  hot_standby: flag('on', 'on'),
  max_connections: atLeast(25, 100),
  max_wal_senders: atLeast(3, 10),
  max_prepared_transactions: atLeast(0, 0),
  max_locks_per_transaction: atLeast(32, 64),
  track_commit_timestamp: flag('off'),
  max_replication_slots: atLeast(4, 10),
  max_worker_processes: atLeast(2, 8),
  wal_log_hints: flag('on'),
}
const walKeepSegments = atLeast(1, 8)

/** Names that a node's own file cannot set; lower case. */
export const controlledNames: ReadonlySet<string> = new Set([
  ...Object.keys(commandLine),
  ...['listen_addresses', 'port', 'cluster_name', 'wal_keep_segments', 'wal_keep_size'],
])

export interface ControlledValues {
  /** For the postmaster's command line. */
  readonly commandLine: Readonly<Record<string, string>>
  /** wal_keep_size or wal_keep_segments, for postgresql.conf. */
  readonly walKeep: Readonly<Record<string, string>>
  readonly warnings: readonly ParameterWarning[]
}

/** A value that was refused. */
export interface ParameterWarning {
  readonly name: string
  readonly says: string
}

/** Decides every controlled parameter from the dynamic `parameters` (names compare without case): a bad value warns and the default stands. */
export function controlledValues(parameters: JsonObject, majorVersion: number): ControlledValues {
  const warnings: ParameterWarning[] = []
  const given = new Map(Object.entries(parameters).map(entry => [entry[0].toLowerCase(), entry]))
  const decide = (lowerCased: string, rule: Controlled): string | undefined => {
    const [name, value] = given.get(lowerCased) ?? [lowerCased, null]
    if (value === null) return undefined
    const read = rule.read(value)
    if (read === undefined) {
      const found = JSON.stringify(value, printable)
      warnings.push({ name, says: `expected ${rule.accepts}, found ${found}: ${rule.fallback} is used` })
    }
    return read ?? rule.fallback
  }
  const decided = Object.entries(commandLine).map(([name, rule]) => [
    name,
    decide(name, rule) ?? rule.fallback,
  ])
  const walKeep = decideWalKeep(decide, majorVersion)
  return { commandLine: Object.fromEntries(decided), walKeep, warnings }
}

/** From PostgreSQL 13 on, a number of segments becomes a size. */
function decideWalKeep(
  decide: (name: string, rule: Controlled) => string | undefined,
  majorVersion: number,
): Readonly<Record<string, string>> {
  const size = decide('wal_keep_size', walKeepSize)
  const segments = decide('wal_keep_segments', walKeepSegments)
  if (majorVersion < 13) {
    const sizeInSegments =
      size === undefined ? undefined : Math.floor(Number.parseInt(size, 10) / SEGMENT_MEGABYTES)
    return { wal_keep_segments: segments ?? String(sizeInSegments ?? walKeepSegments.fallback) }
  }
  const segmentsInSize = segments === undefined ? undefined : `${Number(segments) * SEGMENT_MEGABYTES}MB`
  return { wal_keep_size: size ?? segmentsInSize ?? walKeepSize.fallback }
}

function printable(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
