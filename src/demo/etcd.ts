// Real etcd members, one to each host, and faults as verbs. What a fault means to the cluster is the test's business.

import { chmod, rm } from 'node:fs/promises'
import { runChild } from '../platform/child.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { asAccount } from './account.ts'
import { keyValue, leadsRaft, positionOf, wantsUser } from './etcd-calls.ts'
import type { Host } from './host.ts'
import { freePort, type Layout } from './loopback.ts'
import type { Server } from './server.ts'
import { type Note, waitFor } from './wait.ts'

const READY_WITHIN_MS = 20_000
const CALL_WITHIN_MS = 10_000

/** One member: its process is `server`, whose verbs are the faults. */
export class EtcdMember {
  readonly host: Host
  readonly server: Server
  readonly clientPort: number
  readonly peerPort: number

  private constructor(host: Host, server: Server, clientPort: number, peerPort: number) {
    this.host = host
    this.server = server
    this.clientPort = clientPort
    this.peerPort = peerPort
  }

  /** Chooses the ports; the command line needs the addresses of all members and is given at each start. */
  static async on(host: Host): Promise<EtcdMember> {
    const clientPort = await freePort(host.address, 2379)
    const peerPort = await freePort(host.address, 2380)
    const env = process.arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {}
    const server = host.server({ name: 'etcd', command: ['etcd'], env })
    return new EtcdMember(host, server, clientPort, peerPort)
  }

  get name(): string {
    return this.host.name
  }

  /** `address:port` for clients. */
  get endpoint(): string {
    return `${this.host.address}:${this.clientPort}`
  }

  get peerUrl(): string {
    return `http://${this.host.address}:${this.peerPort}`
  }

  get dataDir(): string {
    return this.host.path('etcd')
  }

  /** Whether the member says that it is healthy: it answers and its cluster has a leader. */
  async isHealthy(note?: Note): Promise<boolean> {
    const response = await fetch(`http://${this.endpoint}/health`, { signal: AbortSignal.timeout(1_000) })
    const body = await response.text()
    note?.(`${this.name}: ${body}`)
    return body.includes('"true"')
  }
}

/** One or three members that form one store. */
export class EtcdCluster {
  readonly members: readonly EtcdMember[]
  #token = 1

  private constructor(members: readonly EtcdMember[]) {
    this.members = members
  }

  /** Prepares hosts `etcd1`... and their members; nothing runs yet. */
  static async create(layout: Layout, size: 1 | 3): Promise<EtcdCluster> {
    const members: EtcdMember[] = []
    for (let number = 1; number <= size; number += 1) {
      members.push(await EtcdMember.on(await layout.host(`etcd${number}`)))
    }
    return new EtcdCluster(members)
  }

  /** `address:port` of every member, for the `hosts` of a configuration. */
  get endpoints(): readonly string[] {
    return this.members.map(member => member.endpoint)
  }

  /** The member with this name. Throws when there is none. */
  member(name: string): EtcdMember {
    const found = this.members.find(member => member.name === name)
    if (found === undefined) throw new Error(`no etcd member ${name}`)
    return found
  }

  /** Starts the members that do not run and waits until all are healthy. */
  async start(): Promise<void> {
    await Promise.all(
      this.members.filter(member => !member.server.isRunning).map(member => this.startMember(member)),
    )
    await this.ready()
  }

  /** Starts one member; resolves when its process runs. */
  startMember(member: EtcdMember): Promise<void> {
    return member.server.start(this.#arguments(member))
  }

  /** Waits until these members (default: all) are healthy. */
  async ready(
    members: readonly EtcdMember[] = this.members,
    withinMs: number = READY_WITHIN_MS,
  ): Promise<void> {
    await Promise.all(
      members.map(member =>
        waitFor(`${member.name} to be healthy`, { withinMs }, note => member.isHealthy(note)),
      ),
    )
  }

  /** The member that leads the raft, asked of those that answer. */
  leader(): Promise<EtcdMember> {
    return waitFor('an etcd leader', { withinMs: READY_WITHIN_MS }, async note => {
      const running = this.members.filter(member => member.server.isRunning)
      const answers = await Promise.allSettled(running.map(member => leadsRaft(member.endpoint)))
      note(JSON.stringify(answers))
      const index = answers.findIndex(answer => answer.status === 'fulfilled' && answer.value)
      return running[index]
    })
  }

  /** Gives the raft leadership to another member: an election, and so a higher term. */
  async moveLeader(): Promise<void> {
    const leader = await this.leader()
    const heir = this.members.find(member => member !== leader && member.server.isRunning)
    if (heir === undefined) throw new Error('no other etcd member runs')
    const { memberId } = await positionOf(heir.endpoint)
    await this.ctl(['move-leader', BigInt(memberId).toString(16)], [leader])
  }

  /** What a key says, from the first running member that answers; undefined when it is not there. */
  async value(key: string): Promise<string | undefined> {
    const running = this.members.filter(member => member.server.isRunning)
    try {
      return await keyValue(
        running.map(member => member.endpoint),
        key,
      )
    } catch (error) {
      if (!wantsUser(error)) throw error
      // With authentication switched on, the user is in etcdctl's own variables.
      const text = await this.ctl(['--command-timeout=2s', 'get', '--print-value-only', key])
      return text.trim() === '' ? undefined : text.trim()
    }
  }

  /** Runs etcdctl against these members (default: all) and resolves to what it printed; rejects when it fails. */
  async ctl(args: readonly string[], members: readonly EtcdMember[] = this.members): Promise<string> {
    const words = [`--endpoints=${members.map(member => member.endpoint).join(',')}`, ...args]
    return runTool(['etcdctl', ...words])
  }

  /** Writes a snapshot of one member's data to `file`, which every user may read. */
  async snapshot(file: string, member: EtcdMember = this.#first()): Promise<void> {
    await this.ctl(['snapshot', 'save', file], [member])
    await chmod(file, 0o644)
  }

  /**
   * Puts all members back to a snapshot, as an operator restores a backup: everything is stopped, wiped, restored as a new
   * cluster (new ids, an older revision, a low raft term) and started. `hasSameIdentity`: with the token that it had, which
   * keeps the cluster's id and the members'.
   */
  async restore(file: string, { hasSameIdentity = false } = {}): Promise<void> {
    await Promise.all(this.members.map(member => member.server.kill()))
    if (!hasSameIdentity) this.#token += 1
    for (const member of this.members) {
      await rm(member.dataDir, { recursive: true, force: true })
      const identity = [`--name=${member.name}`, `--initial-advertise-peer-urls=${member.peerUrl}`]
      const words = [...identity, ...this.#membership(), `--data-dir=${member.dataDir}`]
      await runTool([...asAccount(member.host.account), 'etcdctl', 'snapshot', 'restore', file, ...words])
    }
    await this.start()
  }

  /** Stops a member and forgets its data. The others still count it: `rejoin` brings it back. */
  async wipe(member: EtcdMember): Promise<void> {
    await member.server.kill()
    await rm(member.dataDir, { recursive: true, force: true })
  }

  /** Replaces a wiped member by a new one of the same name that fetches the data from the others. */
  async rejoin(member: EtcdMember): Promise<void> {
    const others = this.members.filter(other => other !== member)
    // The members refuse to change until they have a leader and have seen each other for a few seconds.
    await waitFor(`${member.name} to be replaced`, { withinMs: READY_WITHIN_MS, everyMs: 200 }, async () => {
      const list = await this.ctl(['member', 'list'], others)
      const old = list.split('\n').find(line => line.split(', ')[3] === member.peerUrl)
      if (old?.includes(', unstarted,') === true) return true
      if (old !== undefined) await this.ctl(['member', 'remove', old.split(',')[0] ?? ''], others)
      return this.ctl(['member', 'add', member.name, `--peer-urls=${member.peerUrl}`], others)
    })
    await member.server.start(this.#arguments(member, 'existing'))
  }

  /** Kills all members and forgets their data. */
  async remove(): Promise<void> {
    await Promise.all(this.members.map(member => member.host.remove()))
  }

  #first(): EtcdMember {
    const [member] = this.members
    if (member === undefined) throw new Error('the etcd cluster has no members')
    return member
  }

  #membership(): readonly string[] {
    const all = this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',')
    return [`--initial-cluster=${all}`, `--initial-cluster-token=pgherd-${this.#token}`]
  }

  #arguments(member: EtcdMember, state: 'new' | 'existing' = 'new'): readonly string[] {
    const clientUrl = `http://${member.endpoint}`
    return [
      `--name=${member.name}`,
      `--data-dir=${member.dataDir}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${member.peerUrl}`,
      `--initial-advertise-peer-urls=${member.peerUrl}`,
      ...this.#membership(),
      `--initial-cluster-state=${state}`,
      '--logger=zap',
      '--log-outputs=stderr',
    ]
  }
}

async function runTool(words: readonly string[]): Promise<string> {
  const [program = '', ...args] = words
  const env = { ...process.env, ETCDCTL_API: '3' }
  const result = await runChild(program, args, { by: Deadline.in(realClock, CALL_WITHIN_MS), env })
  if (result.code === 0) return result.stdout
  throw new Error(`${words.slice(-4).join(' ')}: ${result.timedOut ? 'too slow' : result.stderr.trim()}`)
}
