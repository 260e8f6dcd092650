// Writes to every server's own port, past all routers, and notes on which timeline each commit was acknowledged. It finds
// what no client of a router can see: a server of an older epoch that still says yes after a newer one has begun.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Member } from './member.ts'
import { endQuickly, type SqlTarget } from './sql.ts'

/** Something to write through: a member is one, past all routers; a router's write port can be made one. */
export interface Door {
  readonly name: string
  readonly direct: SqlTarget
}

/** A commit that a server acknowledged. `member` is the name of the door. Times are monotonic milliseconds of this process. */
export interface Acknowledgement {
  readonly member: string
  readonly timeline: number
  readonly sentMs: number
  readonly atMs: number
}

/** An acknowledgement that came after the first one of a newer timeline. */
export interface StaleAcknowledgement extends Acknowledgement {
  readonly newerTimeline: number
  /** How long after the newer timeline's first acknowledgement it came. */
  readonly lateByMs: number
  /** Whether it was even sent after that: then no delay on the way can explain it. */
  readonly sentLate: boolean
}

/** The table that the prober writes to. */
export const PROBES_TABLE = 'pgherd_probes'

/** A statement that is its own proof: the timeline that it was written on comes back with the acknowledgement. */
const INSERT = `INSERT INTO ${PROBES_TABLE} (member) VALUES ($1)
  RETURNING ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline`

const CONNECT_WITHIN_MS = 1_000
/** A server that is starting forks a process for everybody whom it turns away. */
const RECONNECT_EVERY_MS = 250
const RECORDS_MAX = 1_000_000

/** Probes all members until `stop`. Begin with `start` while there is a leader: it makes the table there. */
export class Prober {
  readonly #stopping = new AbortController()
  readonly #clients = new Set<pg.Client>()
  readonly #records: Acknowledgement[] = []
  readonly #running: Promise<void>[] = []

  /** Two sessions for each door, each writing every `everyMs` (default 100), by turns. */
  static async start(leader: Member, doors: readonly Door[], everyMs = 100): Promise<Prober> {
    await leader.query(`CREATE TABLE IF NOT EXISTS ${PROBES_TABLE} (member text NOT NULL)`)
    const prober = new Prober()
    for (const door of doors) {
      for (const offsetMs of [0, everyMs / 2]) {
        prober.#running.push(prober.#session(door.name, door.direct, everyMs, offsetMs))
      }
    }
    return prober
  }

  /** Ends all sessions and resolves to what was acknowledged, in order of arrival. */
  async stop(): Promise<readonly Acknowledgement[]> {
    this.#stopping.abort()
    // A session may wait for ever, on purpose: closing its socket ends the wait.
    await Promise.all([...this.#clients].map(endQuickly))
    await Promise.all(this.#running)
    return this.#records
  }

  /** What was acknowledged so far. */
  get records(): readonly Acknowledgement[] {
    return this.#records
  }

  async #session(member: string, target: SqlTarget, everyMs: number, offsetMs: number): Promise<void> {
    const { signal } = this.#stopping
    await sleep(offsetMs, undefined, { signal }).catch(() => {})
    while (!signal.aborted) {
      const client = await this.#connect(target)
      while (client !== undefined && !signal.aborted && (await this.#probe(client, member))) {
        await sleep(everyMs, undefined, { signal }).catch(() => {})
      }
      if (client !== undefined) {
        this.#clients.delete(client)
        await endQuickly(client)
      }
      await sleep(RECONNECT_EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #connect(target: SqlTarget): Promise<pg.Client | undefined> {
    // No limit for the answer: an acknowledgement that a frozen server gives after its thaw is what we wait for.
    const client = new pg.Client({
      ...target,
      database: 'postgres',
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
    })
    client.on('error', () => {})
    try {
      // Never ended while it connects: the library would leave its promise open for ever. It has a deadline of its own.
      await client.connect()
      this.#clients.add(client)
      return client
    } catch {
      await endQuickly(client)
      return undefined
    }
  }

  /** False when the session is of no more use. */
  async #probe(client: pg.Client, member: string): Promise<boolean> {
    try {
      // Asked first, so that replicas do not fill their logs with refused inserts.
      const asked = await client.query<{ replica: boolean }>('SELECT pg_is_in_recovery() AS replica')
      if (asked.rows[0]?.replica !== false) return true
      const sentMs = performance.now()
      const { rows } = await client.query<{ timeline: number }>(INSERT, [member])
      const timeline = rows[0]?.timeline
      if (timeline !== undefined && this.#records.length < RECORDS_MAX) {
        this.#records.push({ member, timeline, sentMs, atMs: performance.now() })
      }
      return true
    } catch {
      return false
    }
  }
}

/** The acknowledgements of an older timeline that came after the first of a newer one; empty is what we want. */
export function staleAcknowledgements(records: readonly Acknowledgement[]): readonly StaleAcknowledgement[] {
  const sorted = [...records].sort((left, right) => left.atMs - right.atMs)
  const stale: StaleAcknowledgement[] = []
  let newest: Acknowledgement | undefined
  for (const record of sorted) {
    if (newest === undefined || record.timeline > newest.timeline) {
      newest = record
    } else if (record.timeline < newest.timeline) {
      const lateByMs = record.atMs - newest.atMs
      stale.push({
        ...record,
        newerTimeline: newest.timeline,
        lateByMs,
        sentLate: record.sentMs > newest.atMs,
      })
    }
  }
  return stale
}
