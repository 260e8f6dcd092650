// One SQL connection to a server, ours or the leader's. Every call has a deadline; at the deadline the socket is
// destroyed, because a late answer must not be taken for the answer to the next question.

import { Socket } from 'node:net'
import pg from 'pg'
import type { Credentials } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import { refuseUnbound, type TlsMode, tlsModes, tlsOptions, tlsWay } from './connection-tls.ts'
import type { Door } from './ping.ts'

/** All values arrive as PostgreSQL prints them: 64-bit numbers and LSNs do not fit a JavaScript number. */
export type Row = Readonly<Record<string, string | null>>

export interface Target {
  readonly door: Door
  readonly who: Credentials
  readonly database: string
  /** A walsender connection: IDENTIFY_SYSTEM and the like. */
  readonly isReplication: boolean
  /** Server parameters for the session. */
  readonly session: Readonly<Record<string, string>>
}

const CONNECT_MS_MAX = 3000
const APPLICATION_NAME = 'pgherd'
const NO_HBA_ENTRY = '28000'

/** What every session of ours sets: no foreign functions, no endless statements. */
export const SESSION: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  statement_timeout: '2000',
}
/** For work that takes as long as it takes: checkpoints, slot advances. */
export const PATIENT_SESSION: Readonly<Record<string, string>> = { ...SESSION, statement_timeout: '0' }

/** An open connection. */
export class Connection {
  readonly #client: pg.Client
  readonly #socket: Socket
  #isOpen = true
  #last: Promise<unknown> = Promise.resolve()

  private constructor(client: pg.Client, socket: Socket) {
    this.#client = client
    this.#socket = socket
    // Without a listener a server that goes away would end the process.
    client.on('error', () => this.close())
    client.on('end', () => this.close())
  }

  /**
   * Connects, with TLS as `sslmode` says. Rejects with the server's own error where it said one in any of the ways that were
   * tried (a server that refuses is not one that hangs), else with the last of the socket.
   */
  static async open(target: Target, by: Deadline): Promise<Connection> {
    let told: unknown
    for (const mode of tlsModes(target.door, target.who.options)) {
      try {
        return await Connection.#attempt(target, mode, by)
      } catch (error) {
        if (told === undefined || sqlStateOf(error) !== undefined || sqlStateOf(told) === undefined)
          told = error
        if (!isAboutEncryption(error)) break
      }
    }
    throw told
  }

  static async #attempt(target: Target, mode: TlsMode, by: Deadline): Promise<Connection> {
    const socket = new Socket()
    const settings = {
      ...('path' in target.door ? socketAddress(target.door.path) : target.door),
      user: target.who.username,
      // A function: otherwise a missing password would be searched for in the user's home directory.
      password: () => target.who.password ?? '',
      database: target.database,
      application_name: APPLICATION_NAME,
      options: sessionOptions(target.session),
      ssl: mode === 'tls' ? await tlsOptions(target.who.options, by) : false,
      ...tlsWay(target.who.options, mode),
      connectionTimeoutMillis: Math.max(1, Math.min(CONNECT_MS_MAX, by.remainingMs())),
      stream: () => socket,
      types: { getTypeParser: () => (value: string) => value },
      ...(target.isReplication ? { replication: 'true' } : {}),
    }
    const client = new pg.Client(settings as unknown as pg.ClientConfig)
    const isRequired = target.who.options['channel_binding'] === 'require'
    const refusal = isRequired ? refuseUnbound(client, socket) : () => undefined
    const connection = new Connection(client, socket)
    try {
      await client.connect()
    } catch (error) {
      connection.close()
      throw refusal() ?? error
    }
    const refused = refusal()
    if (refused === undefined) return connection
    connection.close()
    throw refused
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /**
   * Runs one statement, after those that were asked for earlier. Rejects with the server's error, or with DeadlineError,
   * after which the connection is closed.
   */
  async query(sql: string, by: Deadline, values: readonly string[] = []): Promise<readonly Row[]> {
    const turn = this.#last
    const answer = by.run('the query', async () => {
      await turn
      return values.length === 0 ? this.#client.query(sql) : this.#client.query(sql, [...values])
    })
    this.#last = answer.catch(() => {})
    try {
      return (await answer).rows as Row[]
    } catch (error) {
      if (sqlStateOf(error) === undefined) this.close()
      throw error
    }
  }

  /** Closes at once; idempotent. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    // `end` says goodbye when it still can; the socket goes whatever happens.
    this.#client.end().catch(() => {})
    setTimeout(() => this.#socket.destroy(), 50).unref()
  }
}

/** Opens, works, closes. */
export async function withConnection<T>(
  target: Target,
  by: Deadline,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await Connection.open(target, by)
  try {
    return await work(connection)
  } finally {
    connection.close()
  }
}

/** The five characters that PostgreSQL gives an error; undefined for errors of the socket and of ours. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

function socketAddress(path: string): { readonly host: string; readonly port: number } {
  const match = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(path)
  return { host: match?.[1] ?? path, port: Number(match?.[2] ?? 5432) }
}

function sessionOptions(session: Readonly<Record<string, string>>): string {
  return Object.entries(session)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ')
}

/** Whether another way, with TLS or without, may get in. */
export function isAboutEncryption(error: unknown): boolean {
  if (sqlStateOf(error) === NO_HBA_ENTRY) return true
  return error instanceof Error && /SSL connection/.test(error.message)
}
