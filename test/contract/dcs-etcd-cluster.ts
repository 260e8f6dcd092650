// Real etcd members for the store's contract tests: started on free ports, frozen, killed, restarted, cleaned up.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Ports {
  readonly client: number
  readonly peer: number
}

/** One etcd process; `freeze` and `thaw` stop and continue it, `kill` and `start` end and begin it. */
export class EtcdMember {
  readonly name: string
  readonly url: string
  readonly endpoint: string
  readonly #args: readonly string[]
  readonly #logFile: string
  #child: ChildProcess | undefined
  #isFrozen = false

  constructor(name: string, ports: Ports, args: readonly string[], logFile: string) {
    this.name = name
    this.endpoint = `127.0.0.1:${ports.client}`
    this.url = `http://${this.endpoint}`
    this.#args = args
    this.#logFile = logFile
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return
    const log = await open(this.#logFile, 'a')
    this.#child = spawn('etcd', this.#args, { stdio: ['ignore', log.fd, log.fd] })
    this.#child.on('error', error => console.error(`${this.name}: ${error.message}`))
    await log.close()
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
    this.#isFrozen = true
  }

  thaw(): void {
    if (this.#isFrozen) this.#child?.kill('SIGCONT')
    this.#isFrozen = false
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    this.#isFrozen = false
    const closed = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await closed
  }

  /** Is it up and does it know a raft leader? Asked over the JSON gateway, not by the client under test. */
  async status(): Promise<{ readonly memberId: string; readonly leaderId: string } | undefined> {
    try {
      const response = await fetch(`${this.url}/v3/maintenance/status`, {
        method: 'POST',
        body: '{}',
        signal: AbortSignal.timeout(500),
      })
      const body = (await response.json()) as { header: { member_id: string }; leader?: string }
      if (body.leader === undefined || body.leader === '0') return undefined
      return { memberId: body.header.member_id, leaderId: body.leader }
    } catch {
      return undefined
    }
  }
}

/** A small etcd cluster in a temporary directory on tmpfs where there is one. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly #directory: string

  private constructor(members: readonly EtcdMember[], directory: string) {
    this.members = members
    this.#directory = directory
  }

  static async start(size: number): Promise<EtcdCluster> {
    const directory = await mkdtemp(join(await tmpfs(), 'pgherd-dcs-'))
    const ports = await freePorts(size)
    const names = ports.map((_, index) => `m${index}`)
    const initial = ports.map((port, index) => `${names[index]}=http://127.0.0.1:${port.peer}`).join(',')
    const members = ports.map((port, index) => {
      const name = names[index] ?? ''
      const args = etcdArgs(name, port, join(directory, name), initial)
      return new EtcdMember(name, port, args, join(directory, `${name}.log`))
    })
    const cluster = new EtcdCluster(members, directory)
    await Promise.all(members.map(member => member.start()))
    await cluster.healthy()
    return cluster
  }

  get endpoints(): readonly string[] {
    return this.members.map(member => member.url)
  }

  /** Waits until every member is up and knows the leader; fails after 20 s. */
  async healthy(): Promise<void> {
    const untilMs = performance.now() + 20_000
    while (performance.now() < untilMs) {
      const states = await Promise.all(this.members.map(member => member.status()))
      if (states.every(state => state !== undefined)) return
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error(`etcd in ${this.#directory} did not become healthy within 20 s`)
  }

  /** The member that leads the raft group. */
  async leader(): Promise<EtcdMember> {
    for (const member of this.members) {
      const status = await member.status()
      if (status !== undefined && status.memberId === status.leaderId) return member
    }
    throw new Error('no etcd member says that it leads')
  }

  async thawAll(): Promise<void> {
    for (const member of this.members) member.thaw()
    await Promise.all(this.members.map(member => member.start()))
    await this.healthy()
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(member => member.kill()))
    await rm(this.#directory, { recursive: true, force: true })
  }
}

function etcdArgs(name: string, ports: Ports, dataDirectory: string, initial: string): readonly string[] {
  const client = `http://127.0.0.1:${ports.client}`
  const peer = `http://127.0.0.1:${ports.peer}`
  return [
    `--name=${name}`,
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=${initial}`,
    '--initial-cluster-state=new',
  ]
}

async function tmpfs(): Promise<string> {
  const probe = await mkdtemp('/dev/shm/pgherd-').catch(() => undefined)
  if (probe === undefined) return tmpdir()
  await rm(probe, { recursive: true })
  return '/dev/shm'
}

async function freePorts(size: number): Promise<readonly Ports[]> {
  const servers = Array.from({ length: size * 2 }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>(resolve => {
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address !== null ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return Array.from({ length: size }, (_, index) => ({
    client: ports[index * 2] ?? 0,
    peer: ports[index * 2 + 1] ?? 0,
  }))
}
