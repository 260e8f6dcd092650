// The members of the modelled etcd: who leads, who is reachable, and what happens to a request on its way. A request that
// meets a frozen member or a lost leader may be applied seconds later, when its sender has long given up.

import type { Network } from '../core/network.ts'
import type { Random } from '../core/random.ts'
import type { Handle, Scheduler } from '../core/scheduler.ts'
import { EtcdStore } from './store.ts'

export interface EtcdMember {
  readonly name: string
  isUp: boolean
  isFrozen: boolean
  /** Requests that came while it was frozen or without a leader. */
  waiting: Request[]
}

interface Request {
  readonly sinceMs: number
  readonly run: () => void
}

/** How a request ended for its sender, if an answer came at all. */
export type Reply<T> = { readonly kind: 'answer'; readonly value: T } | { readonly kind: 'refused' }

const WAITING_MAX = 200
/** A proposal without a leader is given up after this long. */
const PROPOSAL_MS = 7_000
/** etcd looks for ended leases this often. */
const EXPIRY_STEP_MS = 500

export class EtcdCluster {
  readonly store: EtcdStore
  readonly members: readonly EtcdMember[]
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #random: Random
  readonly #appliedListeners = new Set<() => void>()
  readonly #leaseListeners = new Set<(holder: string) => void>()
  #leader: EtcdMember | undefined
  #election: Handle | undefined
  #expiry: { readonly dueMs: number; readonly handle: Handle } | undefined
  elections = 0
  /** Extra time that each commit takes: a slow disk. */
  slowMs = 0

  constructor(scheduler: Scheduler, network: Network, random: Random, names: readonly string[]) {
    this.#scheduler = scheduler
    this.#network = network
    this.#random = random
    this.members = names.map(name => ({ name, isUp: true, isFrozen: false, waiting: [] }))
    this.#leader = this.members[0]
    this.store = new EtcdStore(
      () => scheduler.nowMs,
      () => {
        for (const listener of this.#appliedListeners) listener()
      },
    )
    network.onChange(() => this.#look())
  }

  onApplied(listener: () => void): () => void {
    this.#appliedListeners.add(listener)
    return () => void this.#appliedListeners.delete(listener)
  }

  /** Calls `listener` with the holder's name when a lease ends and takes the leader key along. */
  onLeaderLeaseEnded(listener: (holder: string) => void): void {
    this.#leaseListeners.add(listener)
  }

  get leaderName(): string | undefined {
    return this.#leader?.name
  }

  /** Is there a raft leader with a majority? */
  get isServing(): boolean {
    return this.#leader !== undefined && this.#hasQuorum(this.#leader)
  }

  /** Does this member answer linearizable requests now? */
  isUsable(member: EtcdMember): boolean {
    return member.isUp && !member.isFrozen && this.#reachesLeader(member)
  }

  /** Sends a request to a member; `reply` is called on the network's time, once or never. */
  submit<T>(client: string, member: EtcdMember, apply: () => T, reply: (reply: Reply<T>) => void): void {
    this.#network.send(client, member.name, () => {
      if (!member.isUp) {
        this.#network.send(member.name, client, () => reply({ kind: 'refused' }))
        return
      }
      const run = () => this.#commit(member, client, apply, reply)
      this.#process(member, { sinceMs: this.#scheduler.nowMs, run })
    })
  }

  kill(member: EtcdMember): void {
    member.isUp = false
    member.waiting = []
    this.#look()
  }

  restart(member: EtcdMember): void {
    member.isUp = true
    this.#look()
  }

  freeze(member: EtcdMember): void {
    member.isFrozen = true
    this.#look()
  }

  thaw(member: EtcdMember): void {
    member.isFrozen = false
    this.#look()
    this.#drain(member)
  }

  #process(member: EtcdMember, request: Request): void {
    if (this.isUsable(member)) {
      this.#scheduler.in(this.#commitMs(), request.run)
      return
    }
    if (member.waiting.length < WAITING_MAX) member.waiting.push(request)
  }

  #commit<T>(member: EtcdMember, client: string, apply: () => T, reply: (reply: Reply<T>) => void): void {
    if (!this.isUsable(member)) {
      const isKept = member.isUp && this.#random.chance(0.5)
      const run = () => this.#commit(member, client, apply, reply)
      if (isKept) member.waiting.push({ sinceMs: this.#scheduler.nowMs, run })
      return
    }
    const value = apply()
    this.#armExpiry()
    this.#network.send(member.name, client, () => {
      if (!member.isFrozen && member.isUp) reply({ kind: 'answer', value })
    })
  }

  #commitMs(): number {
    return this.#random.between(0.5, 3) + (this.slowMs > 0 ? this.#random.between(0, this.slowMs) : 0)
  }

  #drain(member: EtcdMember): void {
    if (!this.isUsable(member)) return
    for (const request of member.waiting.splice(0)) {
      if (this.#scheduler.nowMs - request.sinceMs < PROPOSAL_MS || this.#random.chance(0.3)) {
        this.#scheduler.in(this.#commitMs(), request.run)
      }
    }
  }

  #reachesLeader(member: EtcdMember): boolean {
    const leader = this.#leader
    if (leader === undefined || !this.#hasQuorum(leader)) return false
    return this.#network.connects(member.name, leader.name)
  }

  #hasQuorum(leader: EtcdMember): boolean {
    if (!leader.isUp || leader.isFrozen) return false
    const followers = this.members.filter(
      member => member.isUp && !member.isFrozen && this.#network.connects(member.name, leader.name),
    )
    return followers.length * 2 > this.members.length
  }

  /** The members may see each other otherwise than before: is the leader still one? */
  #look(): void {
    if (this.isServing) {
      this.#election?.cancel()
      this.#election = undefined
      for (const member of this.members) this.#drain(member)
      return
    }
    this.#election ??= this.#scheduler.in(this.#random.between(900, 2_100), () => this.#elect())
  }

  #elect(): void {
    this.#election = undefined
    const candidates = this.members.filter(member => this.#hasQuorum(member))
    this.#leader = candidates.length === 0 ? undefined : this.#random.pick(candidates)
    if (this.#leader === undefined) {
      this.#election = this.#scheduler.in(1_000, () => this.#elect())
      return
    }
    this.elections += 1
    this.store.onElected()
    this.#armExpiry()
    for (const member of this.members) this.#drain(member)
  }

  #armExpiry(): void {
    const nextMs = this.store.nextExpiryMs()
    if (nextMs === undefined || (this.#expiry !== undefined && this.#expiry.dueMs <= nextMs)) return
    this.#expiry?.handle.cancel()
    const atMs = nextMs + this.#random.between(0, EXPIRY_STEP_MS)
    const handle = this.#scheduler.at(Math.max(atMs, this.#scheduler.nowMs + 1), () => {
      this.#expiry = undefined
      // Without a leader no lease ends; the next one renews them all.
      if (!this.isServing) return
      for (const holder of this.store.expire()) for (const listener of this.#leaseListeners) listener(holder)
      this.#armExpiry()
    })
    this.#expiry = { dueMs: nextMs, handle }
  }
}
