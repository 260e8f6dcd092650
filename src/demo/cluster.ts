// The local cluster: etcd, members, routers. It starts them in order, waits for each step, and finds who leads.

import { EtcdCluster } from './etcd.ts'
import type { HaproxyTimings } from './haproxy.ts'
import type { Host } from './host.ts'
import type { Layout } from './loopback.ts'
import { type Keeper, Member, type MemberStatus } from './member.ts'
import type { Settings } from './member-config.ts'
import { haproxyOn, proxyOn, type Router } from './router.ts'
import { waitFor } from './wait.ts'

/** What to build. */
export interface ClusterOptions {
  readonly layout: Layout
  /** Command words of our program. */
  readonly program: readonly string[]
  /** Default `pgsql`. */
  readonly scope?: string
  /** Default 3. */
  readonly etcd?: 1 | 3 | EtcdCluster
  /** Default 3; a list gives each member's keeper. */
  readonly members?: number | readonly Keeper[]
  /** Default 1. */
  readonly proxies?: number
  /** Laid over the proxies' file. */
  readonly proxySettings?: Settings
  /** HAProxy hosts besides; default none. */
  readonly haproxy?: HaproxyTimings
  /** Laid over `bootstrap.dcs`. */
  readonly dcs?: Settings
  /** Laid over the servers' parameters (`synchronous_standby_names`, for example). */
  readonly parameters?: Settings
  /** Laid over every patroni.yml. */
  readonly overrides?: Settings
  readonly binDir?: string
  /** Default: `data` in the member's host's directory. */
  readonly dataDir?: (host: Host) => Promise<string>
  /** Prefix of the hosts' names, for two clusters in one layout. Default none. */
  readonly prefix?: string
}

const BOOTSTRAP_WITHIN_MS = 60_000
const LEADER_WITHIN_MS = 60_000
const LEADER_LOOK_MS = 5_000
/** A member that does not answer is asked again: the key may name another one by then. */
const STATUS_LOOK_MS = 1_000

/** Real servers on real hosts. Everything is public: tests may reach for any part. */
export class Cluster {
  readonly scope: string
  readonly etcd: EtcdCluster
  readonly members: readonly Member[]
  readonly proxies: readonly Router[]
  readonly haproxy: Router | undefined

  private constructor(parts: Pick<Cluster, 'scope' | 'etcd' | 'members' | 'proxies' | 'haproxy'>) {
    this.scope = parts.scope
    this.etcd = parts.etcd
    this.members = parts.members
    this.proxies = parts.proxies
    this.haproxy = parts.haproxy
  }

  /** Prepares hosts `etcd1`..., `pg1`..., `proxy1`... and their files; nothing runs yet. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const { layout, program, scope = 'pgsql', prefix = '' } = options
    const etcd =
      options.etcd instanceof EtcdCluster ? options.etcd : await EtcdCluster.create(layout, options.etcd ?? 3)
    const members: Member[] = []
    for (const [index, keeper] of keepers(options.members ?? 3).entries()) {
      const host = await layout.host(`${prefix}pg${index + 1}`)
      members.push(await Member.on(host, { ...options, scope, keeper, etcd: etcd.endpoints }))
    }
    const proxies: Router[] = []
    for (let number = 1; number <= (options.proxies ?? 1); number += 1) {
      const host = await layout.host(`${prefix}proxy${number}`)
      proxies.push(await proxyOn(host, { scope, program, etcd: etcd.endpoints }, options.proxySettings))
    }
    const { haproxy: timings } = options
    const haproxy =
      timings === undefined
        ? undefined
        : await haproxyOn(await layout.host(`${prefix}haproxy`), members, timings)
    return new Cluster({ scope, etcd, members, proxies, haproxy })
  }

  /** Starts everything: etcd, the first member until it leads, the others until they follow, the routers. */
  async start(): Promise<void> {
    await this.etcd.start()
    const [first, ...others] = this.members
    if (first !== undefined) {
      await first.agent.start()
      await this.leader({ withinMs: BOOTSTRAP_WITHIN_MS })
    }
    await Promise.all(others.map(member => member.agent.start()))
    await this.complete(BOOTSTRAP_WITHIN_MS)
    await this.startRouters()
  }

  /** Starts the routers that do not run and waits until they answer. */
  async startRouters(): Promise<void> {
    const routers = this.haproxy === undefined ? this.proxies : [...this.proxies, this.haproxy]
    await Promise.all(routers.filter(router => !router.server.isRunning).map(router => router.server.start()))
    await Promise.all(routers.map(router => router.ready()))
  }

  /** The member with this name. Throws when there is none. */
  member(name: string): Member {
    const found = this.members.find(member => member.name === name)
    if (found === undefined) throw new Error(`no member ${name} in ${this.scope}`)
    return found
  }

  /**
   * Waits for a leader who holds the key and whose server left recovery, both by their own word. `not` excludes members,
   * to wait for the end of a failover.
   */
  leader(
    wanted: {
      readonly withinMs?: number
      readonly not?: readonly Member[]
      readonly signal?: AbortSignal
    } = {},
  ): Promise<Member> {
    const { withinMs = LEADER_WITHIN_MS, signal } = wanted
    const within = { withinMs, ...(signal === undefined ? {} : { signal }) }
    return waitFor(`a leader of ${this.scope}`, within, async note => {
      const name = await this.leaderKey()
      note(`the leader key says ${name ?? 'nothing'}`)
      const member = this.members.find(candidate => candidate.name === name)
      if (member === undefined || wanted.not?.includes(member) === true) return undefined
      const status = await member.status(STATUS_LOOK_MS)
      note(`${name} holds the key, its server is ${status.role} and ${status.state}`)
      return isPrimary(status) ? member : undefined
    })
  }

  /** What the leader key says now, asked of any etcd member that answers; undefined when it is not there. */
  async leaderKey(): Promise<string | undefined> {
    const name = await this.etcd.value(`/service/${this.scope}/leader`)
    return name === '' ? undefined : name
  }

  /** The members other than the leader. */
  async replicas(): Promise<readonly Member[]> {
    const leader = await this.leader()
    return this.members.filter(member => member !== leader)
  }

  /** Waits until every running member but the leader streams from it on its timeline and says that it runs. */
  async complete(withinMs: number = LEADER_WITHIN_MS, signal?: AbortSignal): Promise<void> {
    const limits = { withinMs, everyMs: 100, ...(signal === undefined ? {} : { signal }) }
    await waitFor(`all members of ${this.scope} to be back`, limits, async note => {
      const leader = await this.leader({ withinMs: Math.min(withinMs, LEADER_LOOK_MS) })
      const { timeline } = await leader.status(STATUS_LOOK_MS)
      const rows = await leader.look<{ name: string }>(
        "SELECT application_name AS name FROM pg_stat_replication WHERE state = 'streaming'",
      )
      const streaming = new Set(rows.map(row => row.name))
      const expected = this.members.filter(member => member !== leader && member.agent.isRunning)
      const missing = expected.filter(member => !streaming.has(member.name)).map(member => member.name)
      note(`${leader.name} leads on timeline ${timeline}; not streaming: ${missing.join(', ') || 'nobody'}`)
      if (missing.length > 0) return false
      const others = await Promise.all(expected.map(member => member.status(STATUS_LOOK_MS)))
      note(others.map(other => `${other.state} on timeline ${other.timeline} of ${timeline}`).join(', '))
      // A real Patroni tells the end of the start with its next turn, long after the server streams.
      return others.every(
        other => other.state === 'running' && other.timeline === timeline && !isPrimary(other),
      )
    })
  }

  /** Every host of the cluster. */
  get hosts() {
    const routers = this.haproxy === undefined ? this.proxies : [...this.proxies, this.haproxy]
    return [...routers, ...this.members, ...this.etcd.members].map(part => part.host)
  }

  /** Kills everything and forgets all data. */
  async remove(): Promise<void> {
    await Promise.all(this.hosts.map(host => host.remove()))
  }
}

/** Whether a member's own status says that its server takes writes. */
export function isPrimary(status: MemberStatus): boolean {
  return (status.role === 'primary' || status.role === 'master') && status.state === 'running'
}

function keepers(members: number | readonly Keeper[]): readonly Keeper[] {
  return typeof members === 'number' ? Array.from({ length: members }, () => 'pgherd' as const) : members
}
