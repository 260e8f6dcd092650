// The kept connection to our own server and the one question asked over it at each look.

import type { Timeline } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { Connection, type Row, sqlStateOf, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import {
  IDENTITY_SQL,
  type Observation,
  observationSql,
  parseIdentity,
  parseObservation,
  type ServerIdentity,
  WANTED_SETTINGS_SQL,
} from './facts.ts'
import { connectionTrouble, isConnectionMistake } from './mistakes.ts'
import type { ServerFacts, SettingChange } from './port.ts'
import { NO_SOURCE, type RecoverySource } from './settings-text.ts'

const QUERY_MS = 2000
/** A standby without receiver is asked for its timeline this often at most. */
const TIMELINE_AGE_MS = 5000
const WANTED_MS = 500
const RELOAD_TAKES_MS = 1000
const CANNOT_CONNECT_NOW = '57P03'

/** The answer to one look. Without facts, `trouble` says why; the rest is what the server itself said about its state. */
export interface MonitorLook {
  readonly facts: ServerFacts | undefined
  readonly trouble: string | undefined
  /** The trouble is the operator's to mend. */
  readonly isTroubleMistake: boolean
  /** It takes connections, be it to refuse ours. */
  readonly isUp: boolean
  readonly isComingUp: boolean
  readonly isGoingDown: boolean
}

/** Asks one postmaster; forgets everything when another one runs. */
export class Monitor {
  readonly #context: Context
  #connection: Connection | undefined
  #pid: number | undefined
  #identity: ServerIdentity | undefined
  #source: RecoverySource | undefined
  #pendingNames: readonly string[] = []
  /** Handed over by a reload that the server may not have read yet. */
  #handedOver: { readonly source: RecoverySource | undefined; readonly untilMs: number } | undefined
  #timeline: { readonly value: Timeline; readonly atMs: number } | undefined
  /** What the files want of the settings that wait for a restart, and when that was looked up. */
  #wanted: { readonly mark: string; readonly values: Readonly<Record<string, string>> } | undefined

  constructor(context: Context) {
    this.#context = context
  }

  get identity(): ServerIdentity | undefined {
    return this.#identity
  }

  /** The settings that waited for a restart at the last look. */
  get pendingNames(): readonly string[] {
    return this.#pendingNames
  }

  /** Where the running server streams from, as it said itself at the last look. */
  get source(): RecoverySource | undefined {
    return this.#source
  }

  /**
   * A reload was sent that changes the source: do not wait for the next look to believe it. A look that is quicker than the
   * reload still sees the old one; whoever wrote the files again by it would take the change back.
   */
  noteSource(source: RecoverySource | undefined): void {
    this.#source = source
    this.#handedOver = { source, untilMs: this.#context.clock.monotonicMs() + RELOAD_TAKES_MS }
  }

  #sourceSeen(seen: RecoverySource): RecoverySource | undefined {
    const handed = this.#handedOver
    const isOver = handed === undefined || this.#context.clock.monotonicMs() > handed.untilMs
    if (!isOver && !isSameSource(handed.source, seen)) return handed.source
    this.#handedOver = undefined
    return seen
  }

  /** The newest facts of the postmaster `pid`. A broken connection is replaced once within the look. Never rejects. */
  async look(pid: number, by: Deadline): Promise<MonitorLook> {
    if (this.#pid !== pid) this.forget()
    this.#pid = pid
    const hadConnection = this.#connection?.isOpen === true
    try {
      return found(await this.#observe(by))
    } catch (error) {
      if (!hadConnection || sqlStateOf(error)?.startsWith('57') === false || by.isOver())
        return this.#failed(error)
    }
    try {
      return found(await this.#observe(by))
    } catch (error) {
      return this.#failed(error)
    }
  }

  /** Runs one statement over the kept connection. */
  async query(sql: string, by: Deadline): Promise<readonly Row[]> {
    return (await this.#open(by)).query(sql, by.within(QUERY_MS))
  }

  /** Drops the connection and all that was learnt over it. */
  forget(): void {
    this.#connection?.close()
    this.#connection = undefined
    this.#identity = undefined
    this.#source = undefined
    this.#pendingNames = []
    this.#handedOver = undefined
    this.#timeline = undefined
    this.#wanted = undefined
  }

  async #open(by: Deadline): Promise<Connection> {
    if (this.#connection?.isOpen === true) return this.#connection
    const connection = await Connection.open(this.#context.local(), by)
    this.#connection?.close()
    this.#connection = connection
    this.#identity = undefined
    return connection
  }

  async #observe(by: Deadline): Promise<ServerFacts> {
    const connection = await this.#open(by)
    const identity = this.#identity ?? (await this.#identify(connection, by))
    const [row] = await connection.query(observationSql(identity.serverVersion), by.within(QUERY_MS))
    const observation = parseObservation(row, identity)
    if (observation === undefined) throw new Error('the monitoring query answered in an unknown shape')
    this.#source = observation.facts.role === 'replica' ? this.#sourceSeen(observation.source) : NO_SOURCE
    const timeline = await this.#timelineOf(observation, by)
    const pendingSettings = await this.#pendingSettings(observation, by)
    const isRestartPending = pendingSettings !== undefined
    this.#pendingNames = Object.keys(pendingSettings ?? {})
    return {
      ...observation.facts,
      timeline,
      isRestartPending,
      ...(pendingSettings === undefined ? {} : { pendingSettings }),
    }
  }

  /** The files are read for it once after each reload: a look must not wait for a disk. */
  async #pendingSettings(
    { pendingSettings, loadedAt }: Observation,
    by: Deadline,
  ): Promise<Readonly<Record<string, SettingChange>> | undefined> {
    const names = Object.keys(pendingSettings).sort()
    if (names.length === 0) return undefined
    const mark = `${loadedAt} ${names.join(' ')}`
    if (this.#wanted?.mark !== mark) {
      const rows = await this.query(WANTED_SETTINGS_SQL, by.within(WANTED_MS)).catch(() => [])
      const values = rows.map(row => [row['name'] ?? '', row['wanted'] ?? ''])
      this.#wanted = { mark, values: Object.fromEntries(values) }
    }
    const { values } = this.#wanted
    const changes = names
      .map(name => [name, { before: pendingSettings[name] ?? '', after: values[name] ?? '' }] as const)
      // PostgreSQL does not take its mark back when a line for a setting vanishes again.
      .filter(([, { before, after }]) => before !== after)
    return changes.length === 0 ? undefined : Object.fromEntries(changes)
  }

  async #identify(connection: Connection, by: Deadline): Promise<ServerIdentity> {
    const identity = parseIdentity((await connection.query(IDENTITY_SQL, by.within(QUERY_MS)))[0])
    if (identity === undefined) throw new Error('the server did not tell its system identifier')
    this.#identity = identity
    return identity
  }

  /** The receiver knows the timeline; without one the walsender does (IDENTIFY_SYSTEM tells that of the replay). */
  async #timelineOf(observation: Observation, by: Deadline): Promise<Timeline> {
    const { clock } = this.#context
    if (observation.timeline !== undefined) {
      if (observation.facts.role === 'replica')
        this.#timeline = { value: observation.timeline, atMs: clock.monotonicMs() }
      return observation.timeline
    }
    const known = this.#timeline
    if (known !== undefined && clock.monotonicMs() - known.atMs < TIMELINE_AGE_MS) return known.value
    const value = await this.#replayTimeline(by).catch(() => known?.value ?? this.#checkpointTimeline(by))
    this.#timeline = { value, atMs: clock.monotonicMs() }
    return value
  }

  async #replayTimeline(by: Deadline): Promise<Timeline> {
    const target = this.#context.localReplication()
    const [row] = await withConnection(target, by, walsender => walsender.query('IDENTIFY_SYSTEM', by))
    const timeline = Number(row?.['timeline'])
    if (!Number.isSafeInteger(timeline) || timeline < 1) throw new Error('IDENTIFY_SYSTEM told no timeline')
    return timeline
  }

  /** When no walsender lets us in: what the control file says, which may be late after a change of timeline. */
  async #checkpointTimeline(by: Deadline): Promise<Timeline> {
    const sql =
      'SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) AS timeline FROM pg_control_checkpoint() c, pg_control_recovery() r'
    return Number((await this.query(sql, by))[0]?.['timeline'] ?? 1)
  }

  #failed(error: unknown): MonitorLook {
    const target = this.#context.local()
    const text = messageOf(error)
    const isWaiting = sqlStateOf(error) === CANNOT_CONNECT_NOW
    return {
      facts: undefined,
      trouble: isWaiting ? text : connectionTrouble(error, target, 'superuser', this.#context.config.file),
      isTroubleMistake: isConnectionMistake(error),
      isUp: !isWaiting && sqlStateOf(error) !== undefined,
      isComingUp: isWaiting && !/shutting down/.test(text),
      isGoingDown: isWaiting && /shutting down/.test(text),
    }
  }
}

function isSameSource(one: RecoverySource | undefined, other: RecoverySource): boolean {
  return one?.primaryConninfo === other.primaryConninfo && one.primarySlotName === other.primarySlotName
}

function found(facts: ServerFacts): MonitorLook {
  return {
    facts,
    trouble: undefined,
    isTroubleMistake: false,
    isUp: true,
    isComingUp: false,
    isGoingDown: false,
  }
}
