// The proxy as a process of its own in front of real PostgreSQL servers and real etcd. Only the members' REST servers and
// the keys are the test's own, so that it decides who leads, to the millisecond.

import { appendFile, readdir, readFile } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import { join } from 'node:path'
import type { HostPort } from '../../src/cluster/member.ts'
import type { Dcs } from '../../src/dcs/dcs.ts'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import type { Host } from '../../src/demo/host.ts'
import { freePort, type Layout, LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Settings } from '../../src/demo/member-config.ts'
import { proxyOn, type Router } from '../../src/demo/router.ts'
import type { Server } from '../../src/demo/server.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { tlsParameters } from '../support/certificate.ts'
import { quickBinDir } from '../support/tools.ts'
import { makeWorkplace, type Scope, type Workplace } from '../support/workplace.ts'

const SCOPE = 'pgsql'
/** PGHERD_TEST_THREADS: the same tests over worker threads. */
const threads = Number(process.env['PGHERD_TEST_THREADS'] ?? 1)
const usualSettings: Settings = threads > 1 ? { threads } : {}

const within = (durationMs: number) => Deadline.in(realClock, durationMs)

/** What a member's REST server says. */
export interface Script {
  role: string
  state: string
  holdsLock: boolean
  timeline: number
  leaseLeftMs: number | undefined
  tags: Readonly<Record<string, unknown>>
  /** Requests are taken and never answered. */
  isSilent: boolean
}

/** A real server with a scripted REST server beside it. */
export class ScriptedMember {
  readonly name: string
  readonly host: Host
  readonly address: HostPort
  readonly postmaster: Server
  readonly script: Script
  readonly #rest: HttpServer
  readonly restPort: number

  private constructor(host: Host, postmaster: Server, ports: { server: number; rest: number }) {
    this.name = host.name
    this.host = host
    this.address = { host: host.address, port: ports.server }
    this.restPort = ports.rest
    this.postmaster = postmaster
    this.script = {
      role: 'replica',
      state: 'running',
      holdsLock: false,
      timeline: 1,
      leaseLeftMs: undefined,
      tags: {},
      isSilent: false,
    }
    this.#rest = createServer((request, response) => {
      if (this.script.isSilent) return
      const { code, body } = this.#answer(request.url ?? '')
      response.writeHead(code, { 'content-type': 'application/json', connection: 'close' })
      response.end(body)
    })
  }

  /** Makes the data directory (with TLS and a table that names the server) and starts everything. */
  static async start(layout: Layout, name: string): Promise<ScriptedMember> {
    const host = await layout.host(name)
    const ports = {
      server: await freePort(host.address, 5432),
      rest: await freePort(host.address, 8008),
    }
    const binDir = await quickBinDir()
    const data = host.path('data')
    await runOnce(host, [
      join(binDir, 'initdb'),
      '-D',
      data,
      '--username=postgres',
      '--auth=trust',
      '--locale=C.UTF-8',
      '--encoding=UTF8',
    ])
    await appendFile(join(data, 'pg_hba.conf'), 'host all all all trust\n')
    const settings = {
      listen_addresses: host.address,
      port: ports.server,
      unix_socket_directories: host.path('run'),
      ...(await tlsParameters(data)),
      fsync: 'off',
      max_connections: 200,
      // As our agents set it, only slower: a half-closed client counts as gone too.
      client_connection_check_interval: '4s',
    }
    const words = Object.entries(settings).flatMap(([setting, value]) => ['-c', `${setting}=${value}`])
    const command = [join(binDir, 'postgres'), '-D', data, ...words]
    const postmaster = host.server({ name: 'postgres', command })
    const member = new ScriptedMember(host, postmaster, ports)
    await member.#begin()
    return member
  }

  /** `http://address:port`. */
  get origin(): string {
    return `http://${this.host.address}:${this.restPort}`
  }

  /** The value of its member key. */
  get key(): string {
    return JSON.stringify({
      conn_url: `postgres://${this.address.host}:${this.address.port}/postgres`,
      api_url: `${this.origin}/patroni`,
      state: this.script.state,
      role: this.script.role,
    })
  }

  /** Says that its server is the primary and that it holds the lock. */
  lead(timeline = this.script.timeline): void {
    Object.assign(this.script, { role: 'primary', holdsLock: true, timeline, isSilent: false })
  }

  /** Says that its server is a running replica. */
  follow(): void {
    Object.assign(this.script, { role: 'replica', holdsLock: false, isSilent: false, state: 'running' })
  }

  query<Row extends Record<string, unknown>>(sql: string): Promise<readonly Row[]> {
    return queryOnce<Row>({ ...this.address, user: 'postgres', password: '' }, sql)
  }

  /** Its server processes that have a client, by the server's own account. */
  async clientBackends(): Promise<readonly { readonly pid: number; readonly state: string }[]> {
    return this.query(
      "SELECT pid, state FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
  }

  /**
   * Its server processes that have a client, by the titles that they give themselves: also those that are not logged in yet,
   * which no view of the server shows.
   */
  async clientProcesses(): Promise<readonly string[]> {
    const read = (pid: string, name: string) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '')
    const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
    const children = await Promise.all(
      pids.map(async pid => {
        const [, parent] = (await read(pid, 'stat')).split(') ').at(-1)?.split(' ') ?? []
        return Number(parent) === this.postmaster.pid ? await read(pid, 'cmdline') : ''
      }),
    )
    // "postgres: postgres postgres 127.0.0.1(40212) authentication"
    return children.map(title => title.replaceAll('\0', ' ').trim()).filter(title => /\d\(\d+\)/.test(title))
  }

  async stop(): Promise<void> {
    this.#rest.closeAllConnections()
    this.#rest.close()
    await this.host.remove()
  }

  /** Its entry in a /cluster document. */
  get listed(): Readonly<Record<string, unknown>> {
    const { role, state, tags } = this.script
    const { host, port } = this.address
    return { name: this.name, role, state, tags, host, port, api_url: `${this.origin}/patroni` }
  }

  /** The others of its cluster, for /cluster. */
  others: () => readonly ScriptedMember[] = () => []

  async #begin(): Promise<void> {
    await new Promise<void>(resolve => this.#rest.listen(this.restPort, this.host.address, resolve))
    await this.postmaster.start()
    await waitFor(`${this.name} to take connections`, { withinMs: 20_000 }, async () => {
      await this.query('SELECT 1')
      return true
    })
    await this.query(`CREATE TABLE who AS SELECT '${this.name}' AS name`)
    await this.query('CREATE TABLE kept (id int)')
  }

  #answer(url: string): { code: number; body: string } {
    const { role, state, holdsLock, timeline, leaseLeftMs, tags } = this.script
    if (url === '/cluster') {
      const members = [this, ...this.others()].map(member => member.listed)
      return { code: 200, body: JSON.stringify({ scope: SCOPE, members }) }
    }
    const pgherd = leaseLeftMs === undefined ? {} : { pgherd: { lease_left_ms: leaseLeftMs } }
    const body = {
      state,
      role,
      timeline,
      tags,
      ...pgherd,
      database_system_identifier: '7000000000000000001',
      patroni: { version: '3.0.2', scope: SCOPE, name: this.name },
    }
    const isUp = url === '/primary' ? holdsLock && state === 'running' : url === '/patroni'
    return { code: isUp ? 200 : 503, body: JSON.stringify(body) }
  }
}

export interface StandOptions {
  readonly members?: number
  readonly etcdMembers?: 1 | 3
  /** Laid over the proxy's file. */
  readonly proxy?: Settings
}

/** etcd, members and one proxy, all running; removed when the scope ends. */
export class Stand {
  readonly work: Workplace
  readonly layout: Layout
  readonly etcd: EtcdCluster
  readonly members: readonly ScriptedMember[]
  readonly proxy: Router
  readonly dcs: Dcs
  #keeping: NodeJS.Timeout | undefined
  #leaseId = 0n

  private constructor(parts: Pick<Stand, 'work' | 'layout' | 'etcd' | 'members' | 'proxy' | 'dcs'>) {
    this.work = parts.work
    this.layout = parts.layout
    this.etcd = parts.etcd
    this.members = parts.members
    this.proxy = parts.proxy
    this.dcs = parts.dcs
  }

  static async open(scope: Scope, options: StandOptions = {}): Promise<Stand> {
    const work = await makeWorkplace(scope)
    const layout = new LoopbackLayout(work.data, work.logs)
    const etcd = await EtcdCluster.create(layout, options.etcdMembers ?? 1)
    work.defer(() => etcd.remove())
    await etcd.start()
    const names = Array.from({ length: options.members ?? 3 }, (_, index) => `pg${index + 1}`)
    const members: ScriptedMember[] = []
    for (const name of names) {
      const member = await ScriptedMember.start(layout, name)
      work.defer(() => member.stop())
      member.others = () => members.filter(other => other !== member)
      members.push(member)
    }
    const host = await layout.host('proxy1')
    work.defer(() => host.remove())
    const cluster = { scope: SCOPE, etcd: etcd.endpoints, program: work.program }
    const proxy = await proxyOn(host, cluster, { ...usualSettings, ...options.proxy })
    const dcs = createEtcdDcs({
      endpoints: etcd.endpoints,
      namespace: '/service',
      scope: SCOPE,
      clock: realClock,
      logger: silentLogger,
    })
    work.defer(() => dcs.close())
    const stand = new Stand({ work, layout, etcd, members, proxy, dcs })
    work.defer(() => stand.letGo())
    await proxy.server.start()
    await proxy.ready()
    await stand.announce()
    return stand
  }

  /** The member with this name. */
  member(name: string): ScriptedMember {
    const found = this.members.find(member => member.name === name)
    if (found === undefined) throw new Error(`no member ${name}`)
    return found
  }

  get write(): HostPort {
    return { host: this.proxy.host.address, port: this.proxy.ports.write }
  }

  get read(): HostPort {
    return { host: this.proxy.host.address, port: this.proxy.ports.read }
  }

  /** Writes all member keys, without leases. */
  async announce(): Promise<void> {
    for (const member of this.members) await this.put(`members/${member.name}`, member.key)
  }

  async put(key: string, value: string, leaseId?: bigint): Promise<void> {
    const lease = leaseId === undefined ? {} : { leaseId }
    const { outcome } = await this.dcs.write([], [{ kind: 'put', key, value, ...lease }], within(5000))
    if (outcome !== 'won') throw new Error(`put ${key}: ${outcome}`)
  }

  /** Takes the leader key away, as a leader does that gives it up. */
  async dropKey(): Promise<void> {
    await this.dcs.write([], [{ kind: 'delete', key: 'leader' }], within(5000))
  }

  /** Gives the leader key to a member under a lease that is kept alive until `letGo`. */
  async lead(name: string, ttlSeconds = 30): Promise<void> {
    this.letGo()
    const lease = await this.dcs.grantLease(ttlSeconds, within(5000))
    this.#leaseId = lease.id
    await this.put('leader', name, lease.id)
    this.#keeping = setInterval(() => {
      this.dcs.keepAlive(lease.id, within(1000)).catch(() => {})
    }, ttlSeconds * 200)
  }

  /** Stops keeping the leader's lease alive: it ends by itself. */
  letGo(): void {
    clearInterval(this.#keeping)
  }

  get leaseId(): bigint {
    return this.#leaseId
  }

  /** The proxy's own account of itself. */
  async status(): Promise<Status> {
    const { address } = this.proxy.host
    const response = await fetch(`http://${address}:${this.proxy.ports.admin}/status`, {
      signal: AbortSignal.timeout(10_000),
    })
    return (await response.json()) as Status
  }

  /** Waits until new write sessions go to this member. */
  routed(name: string, withinMs = 20_000): Promise<Status> {
    return waitFor(`the route to ${name}`, { withinMs, everyMs: 20 }, async note => {
      const status = await this.status()
      note(JSON.stringify(status.write))
      return status.write?.member === name && status.write.takes_new ? status : undefined
    })
  }

  /** Waits until the read pool is exactly this. */
  reads(...names: readonly string[]): Promise<Status> {
    return waitFor(`the read pool ${names.join()}`, { withinMs: 20_000, everyMs: 20 }, async note => {
      const status = await this.status()
      note(status.reads.join())
      return status.reads.join() === names.join() ? status : undefined
    })
  }

  /** What the proxy has logged so far. */
  log(): Promise<string> {
    return readFile(this.proxy.server.logFile, 'utf8')
  }

  /** pg1 leads, the others follow; the proxy knows it. */
  async settle(leader = 'pg1', ttlSeconds = 30): Promise<void> {
    for (const member of this.members) {
      if (member.name === leader) member.lead()
      else member.follow()
    }
    await this.lead(leader, ttlSeconds)
    await this.routed(leader)
    await this.reads(...this.members.map(member => member.name).filter(name => name !== leader))
  }
}

/** The part of the status document that tests read. */
export interface Status {
  readonly epoch: { readonly create_revision: number; readonly member: string } | null
  readonly write: {
    readonly member: string
    readonly takes_new: boolean
    readonly evidence_left_ms: number
  } | null
  readonly reads: readonly string[]
  readonly waiting_because: string | null
  readonly members: readonly { readonly name: string; readonly role: string; readonly sessions: number }[]
  readonly listeners: readonly {
    readonly name: string
    readonly sessions: number
    readonly held: number
    readonly states: Readonly<Record<string, number>>
  }[]
  readonly events: readonly { readonly kind: string; readonly says: string; readonly time: string }[]
}

async function runOnce(host: Host, command: readonly string[]): Promise<void> {
  const server = host.server({ name: 'tool', command })
  await server.start()
  const { code } = await server.exit
  if (code !== 0)
    throw new Error(`${command[0]}: exit code ${code}: ${await readFile(server.logFile, 'utf8')}`)
}
