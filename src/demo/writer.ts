// Inserts rows with unique ids through one address, as an application does, and keeps a tally. It never retries a row:
// what an error left behind is for the checker to find out.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { messageOf } from '../platform/errors.ts'
import { endQuickly, type SqlTarget } from './sql.ts'
import { Tally } from './tally.ts'

/** How to write. */
export interface WriterOptions {
  readonly target: SqlTarget
  /** Connections at the same time. Default 4. */
  readonly sessions?: number
  /** Rows a second over all sessions. Default 50. */
  readonly ratePerSecond?: number
  /** A new connection for every row. Default false: a session stays until it breaks. */
  readonly reconnect?: boolean
  /** Default 2000. */
  readonly connectWithinMs?: number
  /** Default 15000: longer than a failover, so that a held session can be seen waiting. */
  readonly answerWithinMs?: number
  readonly table?: string
}

/** The default table of writers. */
export const WRITES_TABLE = 'pgherd_writes'

/** No key on the id: a row that arrives twice must be seen, not refused. */
export async function createWritesTable(
  query: (sql: string) => Promise<unknown>,
  table = WRITES_TABLE,
): Promise<void> {
  await query(
    `CREATE TABLE IF NOT EXISTS ${table} (id bigint NOT NULL, written timestamptz DEFAULT clock_timestamp())`,
  )
}

const ROWS_MAX = 5_000_000
const PAUSE_AFTER_ERROR_MS = 20

/** A running load. It begins with `start` and ends with `stop`; the tally can be read at any time. */
export class Writer {
  readonly tally: Tally
  readonly #options: Required<WriterOptions>
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>[] = []
  #nextId = 1

  private constructor(options: WriterOptions) {
    this.#options = {
      sessions: 4,
      ratePerSecond: 50,
      reconnect: false,
      connectWithinMs: 2_000,
      answerWithinMs: 15_000,
      table: WRITES_TABLE,
      ...options,
    }
    this.tally = new Tally(performance.now())
  }

  /** Starts writing at once. The table must exist. */
  static start(options: WriterOptions): Writer {
    const writer = new Writer(options)
    for (let number = 0; number < writer.#options.sessions; number += 1)
      writer.#running.push(writer.#session(number))
    return writer
  }

  /** Ends after the attempts under way; resolves to the tally. */
  async stop(): Promise<Tally> {
    this.#stopping.abort()
    await Promise.all(this.#running)
    return this.tally
  }

  /** One session's loop, paced so that all sessions together keep the rate and never bunch up after a stall. */
  async #session(number: number): Promise<void> {
    const { sessions, ratePerSecond, reconnect } = this.#options
    const everyMs = (1000 * sessions) / ratePerSecond
    let dueMs = performance.now() + (everyMs * number) / sessions
    let client: pg.Client | undefined
    while (await this.#waitUntil(dueMs)) {
      client ??= await this.#connect()
      const written = client !== undefined && (await this.#insert(client))
      if (client !== undefined && (!written || reconnect)) {
        await endQuickly(client)
        client = undefined
      }
      const earliestMs = performance.now() + (written ? 0 : PAUSE_AFTER_ERROR_MS)
      dueMs = Math.max(dueMs + everyMs, earliestMs)
    }
    if (client !== undefined) await endQuickly(client)
  }

  /** False when it is time to end. */
  async #waitUntil(dueMs: number): Promise<boolean> {
    const delayMs = Math.max(0, dueMs - performance.now())
    await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
    return !this.#stopping.signal.aborted && this.tally.acknowledged < ROWS_MAX
  }

  async #connect(): Promise<pg.Client | undefined> {
    const { target, connectWithinMs, answerWithinMs } = this.#options
    const client = new pg.Client({
      ...target,
      database: target.database ?? 'postgres',
      connectionTimeoutMillis: connectWithinMs,
      query_timeout: answerWithinMs,
      application_name: 'pgherd-writer',
    })
    // A session that breaks between two rows shows in the next one; without a listener it would end the process.
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      this.#fail(error, 'connect')
      await endQuickly(client)
      return undefined
    }
  }

  async #insert(client: pg.Client): Promise<boolean> {
    const id = this.#nextId
    this.#nextId += 1
    try {
      await client.query(`INSERT INTO ${this.#options.table} (id) VALUES ($1)`, [id])
      this.tally.acknowledge(id, performance.now())
      return true
    } catch (error) {
      this.#fail(error, 'insert')
      return false
    }
  }

  #fail(error: unknown, phase: 'connect' | 'insert'): void {
    this.tally.fail({ atMs: performance.now(), code: errorCode(error), phase, text: messageOf(error) })
  }
}

/** SQLSTATE or socket error code; the client library has neither for its own timeouts and for a closed connection. */
export function errorCode(error: unknown): string {
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') return code
  if (/time(d )?out/i.test(messageOf(error))) return 'timeout'
  return /terminated|closed/i.test(messageOf(error)) ? 'closed' : 'other'
}
