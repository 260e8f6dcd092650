// Looks at members and proxies again and again, each on its own: a frozen one must not keep the others from the screen.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../cluster.ts'
import type { Member, MemberStatus } from '../member.ts'
import { processState } from '../proctable.ts'
import type { Router } from '../router.ts'
import type { MemberPicture, ProxyPicture, Pulse } from './picture.ts'
import { askProxy, type ProxyStatus } from './proxies.ts'

const EVERY_MS = 400
const STATUS_WITHIN_MS = 1_000

interface MemberLook {
  readonly pulse: Pulse
  readonly status: MemberStatus | undefined
}

/** The latest look at everything. It asks until `close`. */
export class Observer {
  readonly #cluster: Cluster
  readonly #stopping = new AbortController()
  readonly #members = new Map<string, MemberLook>()
  readonly #proxies = new Map<string, ProxyStatus>()
  readonly #running: readonly Promise<void>[]

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#running = [
      ...cluster.members.map(member => this.#repeat(() => this.#lookAtMember(member))),
      ...cluster.proxies.map(proxy => this.#repeat(() => this.#lookAtProxy(proxy))),
    ]
  }

  /** The members as last seen, in the cluster's order. */
  members(): readonly MemberPicture[] {
    const leader = this.leader()
    const top = numberOf(xlogOf(this.#members.get(leader ?? '')?.status)['location'])
    return this.#cluster.members.map(member => {
      const { pulse, status } = this.#members.get(member.name) ?? { pulse: 'silent', status: undefined }
      const isLeader = member.name === leader
      const xlog = xlogOf(status)
      const own = numberOf(xlog['replayed_location'])
      const lease = numberOf(objectOf(status?.['pgherd'])['lease_left_ms'])
      return {
        name: member.name,
        address: `${member.host.address}:${member.config.postgresPort}`,
        pulse,
        role: isLeader ? 'leader' : (status?.role ?? ''),
        state: stateOf(status),
        timeline: status?.timeline,
        lagBytes: isLeader || top === undefined || own === undefined ? undefined : Math.max(0, top - own),
        leaseLeftMs: isLeader ? lease : undefined,
      }
    })
  }

  /** The proxies as last seen. */
  proxies(): readonly ProxyPicture[] {
    return this.#cluster.proxies.map(({ name, host, ports }) => {
      const status = this.#proxies.get(name)
      const listener = (wanted: string) => status?.listeners.find(found => found.name === wanted)
      return {
        name,
        isUp: status !== undefined,
        address: host.address,
        writePort: ports.write,
        readPort: ports.read,
        leader: status?.write?.takes_new === true ? status.write.member : undefined,
        writeSessions: listener('write')?.sessions ?? 0,
        readSessions: listener('read')?.sessions ?? 0,
        held: listener('write')?.held ?? 0,
        waitingBecause: status?.waiting_because ?? undefined,
      }
    })
  }

  /** Who holds the leader key, by the word of the first proxy that answers. */
  leader(): string | undefined {
    const [status] = this.#proxies.values()
    return status?.has_leader_key === true ? status.epoch?.member : undefined
  }

  /** Resolves when nothing asks any more. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }

  async #repeat(look: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await look()
      await sleep(EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #lookAtMember(member: Member): Promise<void> {
    const status = await member.status(STATUS_WITHIN_MS).catch(() => undefined)
    const pulse = status === undefined ? await pulseOf(member) : 'up'
    this.#members.set(member.name, { pulse, status })
  }

  async #lookAtProxy(proxy: Router): Promise<void> {
    const status = await askProxy(proxy, this.#stopping.signal).catch(() => undefined)
    if (status === undefined) this.#proxies.delete(proxy.name)
    else this.#proxies.set(proxy.name, status)
  }
}

async function pulseOf(member: Member): Promise<Pulse> {
  const { agent } = member
  if (agent.isRunning) return (await processState(agent.pid)) === 'T' ? 'frozen' : 'silent'
  const server = await member.postmasterPid().catch(() => undefined)
  const state = server === undefined ? undefined : await processState(server)
  // The dead whose parent has not asked for them yet are dead.
  return state === undefined || state === 'Z' ? 'down' : 'unguarded'
}

function stateOf(status: MemberStatus | undefined): string {
  const replication = status?.['replication_state']
  return typeof replication === 'string' ? replication : (status?.state ?? '')
}

function xlogOf(status: MemberStatus | undefined): Readonly<Record<string, unknown>> {
  return objectOf(status?.['xlog'])
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
