// A cluster member: one host with a keeper (our agent or the real Patroni) and the PostgreSQL server that it runs.

import { chown, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { QueryResultRow } from 'pg'
import { UserError } from '../platform/errors.ts'
import type { Host } from './host.ts'
import { KeptSession } from './kept-session.ts'
import { freePort } from './loopback.ts'
import { type MemberConfig, memberYaml, ROLES, type Settings } from './member-config.ts'
import { signal } from './proctable.ts'
import type { Server } from './server.ts'
import { queryOnce, type SqlTarget } from './sql.ts'
import { waitFor } from './wait.ts'

/** What keeps the server: our agent or Debian's Patroni. */
export type Keeper = 'pgherd' | 'patroni'

/** What a member needs to know beyond its host. */
export interface MemberOptions {
  readonly scope: string
  readonly keeper: Keeper
  /** Command words of our program. */
  readonly program: readonly string[]
  readonly etcd: readonly string[]
  readonly dcs?: Settings
  readonly parameters?: Settings
  readonly overrides?: Settings
  /** Default: the tools of the newest server on this machine. */
  readonly binDir?: string
  /** Default: `data` in the host's directory. */
  readonly dataDir?: (host: Host) => Promise<string>
}

/** What `/patroni` says, as far as the harness reads it. */
export interface MemberStatus {
  readonly state: string
  readonly role: string
  readonly timeline?: number
  readonly [key: string]: unknown
}

const SERVERS_DIR = '/usr/lib/postgresql'
const GONE_WITHIN_MS = 5_000
const ANSWER_WITHIN_MS = 5_000

/** The member's parts by name: `agent` is the keeper's process, `host` everything, the postmaster is found by its file. */
export class Member {
  readonly host: Host
  readonly agent: Server
  readonly keeper: Keeper
  readonly configFile: string
  readonly config: MemberConfig

  readonly #looks = new KeptSession(() => this.direct)

  private constructor(host: Host, agent: Server, keeper: Keeper, config: MemberConfig, configFile: string) {
    this.host = host
    this.agent = agent
    this.keeper = keeper
    this.config = config
    this.configFile = configFile
  }

  /** Writes the configuration; nothing runs yet. */
  static async on(host: Host, options: MemberOptions): Promise<Member> {
    const configFile = host.path('patroni.yml')
    const config: MemberConfig = {
      ...options,
      name: host.name,
      address: host.address,
      postgresPort: await freePort(host.address, 5432),
      restPort: await freePort(host.address, 8008),
      dataDir: (await options.dataDir?.(host)) ?? host.path('data'),
      binDir: options.binDir ?? (await serverBinDir()),
      runDir: host.path('run'),
      serverLog: { directory: host.logs, file: `${host.name}-postgres.log` },
    }
    const command =
      options.keeper === 'patroni' ? ['patroni', configFile] : [...options.program, 'agent', configFile]
    const agent = host.server({ name: options.keeper === 'patroni' ? 'patroni' : 'agent', command })
    const member = new Member(host, agent, options.keeper, config, configFile)
    await member.configure()
    return member
  }

  get name(): string {
    return this.host.name
  }

  get dataDir(): string {
    return this.config.dataDir
  }

  /** Writes patroni.yml again, with these settings laid over; the keeper reads it when it starts or is told to. */
  async configure(overrides: Settings = {}): Promise<void> {
    const text = memberYaml({ ...this.config, overrides: { ...this.config.overrides, ...overrides } })
    await writeFile(this.configFile, text, { mode: 0o600 })
    await chown(this.configFile, this.host.account.uid, this.host.account.gid)
  }

  /** `address:port` of the REST API. */
  get restAddress(): string {
    return `${this.host.address}:${this.config.restPort}`
  }

  /** Asks the REST API; the status code is part of the answer. Rejects when there is none within 5 s. */
  async rest(
    target: string,
    init: RequestInit = {},
  ): Promise<{ readonly code: number; readonly body: string }> {
    const response = await fetch(`http://${this.restAddress}${target}`, {
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...init,
    })
    return { code: response.status, body: await response.text() }
  }

  /** The document of `/patroni`, whatever its status code. A loop that looks again gives each look less than the default of 5 s. */
  async status(withinMs: number = ANSWER_WITHIN_MS): Promise<MemberStatus> {
    const { body } = await this.rest('/patroni', { signal: AbortSignal.timeout(withinMs) })
    return JSON.parse(body) as MemberStatus
  }

  /** How to connect to the server itself, past every proxy. */
  get direct(): SqlTarget {
    const { username, password } = ROLES.superuser
    return { host: this.host.address, port: this.config.postgresPort, user: username, password }
  }

  /** One statement on the server itself. */
  query<Row extends QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return queryOnce<Row>(this.direct, sql, values)
  }

  /** The same for one who looks again and again: on a session that is kept between looks. */
  look<Row extends QueryResultRow>(sql: string): Promise<readonly Row[]> {
    return this.#looks.query<Row>(sql)
  }

  /** Pid of the running postmaster. Rejects when there is none. */
  async postmasterPid(): Promise<number> {
    const text = await readFile(path.join(this.dataDir, 'postmaster.pid'), 'utf8')
    return Number(text.split('\n')[0])
  }

  /** Pids of the postmaster and of all its children: whatever works in the data directory. */
  async serverProcesses(): Promise<readonly number[]> {
    const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
    const directories = await Promise.all(pids.map(pid => readlink(`/proc/${pid}/cwd`).catch(() => '')))
    return pids.filter((_pid, index) => directories[index] === this.dataDir)
  }

  /** SIGKILL to the postmaster alone; its children end by themselves, when they notice. */
  async killPostmaster(): Promise<void> {
    signal(await this.postmasterPid(), 'SIGKILL')
  }

  /** SIGKILL to the whole server; resolves when none of its processes is left. */
  async killServer(): Promise<void> {
    await waitFor(
      `the server of ${this.name} to be gone`,
      { withinMs: GONE_WITHIN_MS, everyMs: 10 },
      async () => {
        const pids = await this.serverProcesses()
        for (const pid of pids) signal(pid, 'SIGKILL')
        return pids.length === 0
      },
    )
  }

  /** SIGSTOP to the whole server; the keeper goes on. */
  async freezeServer(): Promise<void> {
    for (const pid of await this.serverProcesses()) signal(pid, 'SIGSTOP')
  }

  async thawServer(): Promise<void> {
    for (const pid of await this.serverProcesses()) signal(pid, 'SIGCONT')
  }
}

/** The tools of the newest server on this machine. UserError when there is none. */
export async function serverBinDir(): Promise<string> {
  const majors = (await readdir(SERVERS_DIR).catch(() => [])).filter(name => /^\d+$/.test(name))
  for (const major of majors.sort((left, right) => Number(right) - Number(left))) {
    const binDir = path.join(SERVERS_DIR, major, 'bin')
    if ((await readdir(binDir).catch(() => [] as string[])).includes('initdb')) return binDir
  }
  throw new UserError(
    `no PostgreSQL server below ${SERVERS_DIR}; install one: sudo apt-get install postgresql-15`,
  )
}
