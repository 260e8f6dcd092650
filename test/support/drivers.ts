// Clients as applications write them, by four drivers: psql, psycopg2, pgjdbc and node's pg. Each asks one statement every
// 100 ms in a session that it opens again when it has ended, and tells every attempt.

import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { SqlTarget } from '../../src/demo/sql.ts'

export type Driver = 'psql' | 'psycopg2' | 'pgjdbc' | 'pg'

/** One client of a run. */
export interface DriverClient {
  /** Unique among the run's. */
  readonly name: string
  readonly driver: Driver
  /** Where it may connect, in order. */
  readonly hosts: readonly SqlTarget[]
  readonly sslmode: 'disable' | 'require'
  /** Further words of its connection string: `target_session_attrs`, `targetServerType`. */
  readonly options?: Readonly<Record<string, string>>
  /** Its first column is the server that answered. */
  readonly sql: string
}

/** One attempt: an answer or an error, in the driver's own words. Wall clock, because other programs take part. */
export interface Attempt {
  readonly client: string
  readonly beganAt: number
  readonly at: number
  readonly server?: string
  readonly phase?: 'connect' | 'statement'
  readonly error?: string
  readonly state?: string | null
}

export type Tell = (attempt: Attempt) => void
export type Work = 'loop' | 'cancel'

/** Where Debian's libpostgresql-jdbc-java puts the driver. */
const JDBC_JAR = '/usr/share/java/postgresql.jar'
/** The one that Debian's psycopg2 is for, whatever stands first in PATH. */
const PYTHON = '/usr/bin/python3'
const PROGRAMS = path.resolve(import.meta.dirname, '../fixtures/drivers')
const PAUSE_MS = 100
const CANCEL_EVERY_MS = 500
const CONNECT_SECONDS = 5

/** Clients at work until `stop`. */
export class DriverRun {
  readonly attempts: Attempt[] = []
  readonly #children: ChildProcess[] = []
  readonly #stopping = new AbortController()
  #loops: readonly Promise<void>[] = []
  /** What programs said that was no attempt: empty unless one is broken. */
  complaints = ''

  /** Starts all clients: `loop` until stopped, `cancel` one statement each that is cancelled. */
  static start(clients: readonly DriverClient[], work: Work = 'loop'): DriverRun {
    const run = new DriverRun()
    const by = (driver: Driver) => clients.filter(client => client.driver === driver)
    run.#program([PYTHON, path.join(PROGRAMS, 'clients.py'), work], by('psycopg2'), libpqWords)
    run.#program(['java', '-cp', JDBC_JAR, path.join(PROGRAMS, 'Clients.java'), work], by('pgjdbc'), jdbcUrl)
    const { signal } = run.#stopping
    const tell: Tell = attempt => void run.attempts.push(attempt)
    run.#loops = [
      ...by('psql').map(client => (work === 'loop' ? psqlLoop : psqlCancel)(client, tell, signal)),
      ...by('pg').map(client => (work === 'loop' ? nodeLoop : nodeCancel)(client, tell, signal)),
    ]
    return run
  }

  /** What this client told, in order. */
  of(client: string): readonly Attempt[] {
    return this.attempts.filter(attempt => attempt.client === client)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const child of this.#children) child.stdin?.end()
    await Promise.all([...this.#loops, ...this.#children.map(closed)])
  }

  #program(
    words: readonly string[],
    clients: readonly DriverClient[],
    target: (client: DriverClient) => string,
  ): void {
    if (clients.length === 0) return
    const args = clients.flatMap(client => [client.name, target(client), client.sql])
    const child = started([...words, ...args])
    this.#children.push(child)
    child.stderr?.on('data', chunk => {
      this.complaints += chunk
    })
    if (child.stdout !== null)
      createInterface(child.stdout).on('line', line => this.attempts.push(JSON.parse(line) as Attempt))
  }
}

function started([program = '', ...args]: readonly string[]): ChildProcess {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', TZ: 'UTC' }
  return spawn(program, args, { env, stdio: 'pipe' })
}

function closed(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('close', () => resolve())
  })
}

/** A libpq connection string. */
function libpqWords({ hosts, sslmode, options = {} }: DriverClient): string {
  const [first] = hosts
  const words = {
    host: hosts.map(({ host }) => host).join(),
    port: hosts.map(({ port }) => port).join(),
    user: first?.user,
    password: first?.password,
    dbname: 'postgres',
    sslmode,
    connect_timeout: CONNECT_SECONDS,
    ...options,
  }
  return Object.entries(words)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

function jdbcUrl({ hosts, sslmode, options = {} }: DriverClient): string {
  const [first] = hosts
  const query = new URLSearchParams({
    user: first?.user ?? '',
    password: first?.password ?? '',
    sslmode,
    connectTimeout: String(CONNECT_SECONDS),
    ...options,
  })
  return `jdbc:postgresql://${hosts.map(({ host, port }) => `${host}:${port}`).join()}/postgres?${query}`
}

/** psql fed line by line, as a script on a pipe; it ends with its session, and the next one begins. */
async function psqlLoop(client: DriverClient, tell: Tell, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let beganAt = Date.now()
    let [phase, error]: ['connect' | 'statement', string] = ['connect', '']
    const child = started(['psql', '-XqAt', libpqWords(client)])
    const ask = () => {
      beganAt = Date.now()
      child.stdin?.write(`${client.sql};\n`)
    }
    child.stdin?.on('error', () => {})
    child.stderr?.on('data', chunk => {
      error += chunk
    })
    if (child.stdout !== null)
      createInterface(child.stdout).on('line', server => {
        phase = 'statement'
        tell({ client: client.name, beganAt, at: Date.now(), server })
        setTimeout(ask, PAUSE_MS)
      })
    ask()
    const end = () => void child.stdin?.end()
    signal.addEventListener('abort', end, { once: true })
    await closed(child)
    signal.removeEventListener('abort', end)
    if (!signal.aborted || error !== '')
      tell({ client: client.name, beganAt, at: Date.now(), phase, error: error.trim() })
    await sleep(PAUSE_MS)
  }
}

/** One statement, and Ctrl-C until it ends. */
async function psqlCancel(client: DriverClient, tell: Tell): Promise<void> {
  const beganAt = Date.now()
  // Ctrl-C before it has a session would just end psql: the first answer says that there is one.
  const child = started(['psql', '-XqAt', libpqWords(client), '-c', 'SELECT 1', '-c', client.sql])
  let error = ''
  let timer: NodeJS.Timeout | undefined
  child.stdout?.once('data', () => {
    timer = setInterval(() => child.kill('SIGINT'), CANCEL_EVERY_MS)
  })
  child.stderr?.on('data', chunk => {
    error += chunk
  })
  await closed(child)
  clearInterval(timer)
  tell({ client: client.name, beganAt, at: Date.now(), phase: 'statement', error: error.trim() })
}

function nodeClient({ hosts, sslmode }: DriverClient): pg.Client {
  const [first] = hosts
  const client = new pg.Client({
    ...first,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_SECONDS * 1000,
    ...(sslmode === 'require' ? { ssl: { rejectUnauthorized: false } } : {}),
  })
  return client
}

async function nodeLoop(client: DriverClient, tell: Tell, signal: AbortSignal): Promise<void> {
  let session: pg.Client | undefined
  // pg tells the end of an idle session by this event; the next statement then fails with another, emptier error.
  let ended: Error | undefined
  while (!signal.aborted) {
    const beganAt = Date.now()
    let phase: 'connect' | 'statement' = 'connect'
    try {
      if (session === undefined) {
        ended = undefined
        session = nodeClient(client)
        session.on('error', error => {
          ended ??= error
        })
        await session.connect()
      }
      phase = 'statement'
      const { rows } = await session.query<string[]>({ text: client.sql, rowMode: 'array' })
      tell({ client: client.name, beganAt, at: Date.now(), server: rows[0]?.[0] ?? '' })
    } catch (error) {
      tell({ client: client.name, beganAt, at: Date.now(), phase, ...said(ended ?? error) })
      await session?.end().catch(() => {})
      session = undefined
    }
    await sleep(PAUSE_MS)
  }
  await session?.end().catch(() => {})
}

/** Its types leave this method out. */
interface Messenger extends pg.Client {
  cancel?(session: pg.Client, query: pg.Query): void
}

async function nodeCancel(client: DriverClient, tell: Tell): Promise<void> {
  const beganAt = Date.now()
  const session = nodeClient(client)
  session.on('error', () => {})
  await session.connect()
  const query = new pg.Query(client.sql)
  const timer = setInterval(() => {
    const messenger: Messenger = nodeClient({ ...client, sslmode: 'disable' })
    messenger.on('error', () => {})
    messenger.connection.on('error', () => {})
    messenger.cancel?.(session, query)
  }, CANCEL_EVERY_MS)
  const error = await new Promise<unknown>(resolve => {
    query.once('error', resolve)
    query.once('end', () => resolve(new Error('not cancelled')))
    session.query(query)
  })
  clearInterval(timer)
  tell({ client: client.name, beganAt, at: Date.now(), phase: 'statement', ...said(error) })
  await session.end().catch(() => {})
}

function said(error: unknown): { readonly error: string; readonly state: string | null } {
  const state = error instanceof Error && 'code' in error ? String(error.code) : null
  return { error: error instanceof Error ? error.message : String(error), state }
}
