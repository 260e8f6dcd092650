// A store of one scope in memory with etcd's rules: revisions, transactions, leases that end by a Clock.
// All of it is synchronous; memory.ts adds the network's manners.

import type { KeyValue, Position } from '../cluster/view.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Condition, WatchEvent, Write } from './dcs.ts'

interface HeldLease {
  readonly ttlSeconds: number
  expiresAtMs: number
  timer: Timer
}

/** What a transaction did: `refused` is a request that etcd would not accept at all. */
export type TxnResult =
  | { readonly kind: 'applied'; readonly revision: bigint }
  | { readonly kind: 'compare-failed' | 'lease-gone' | 'refused' }

/** A copy of the keys at one revision, for `restore`. */
export interface StoreSnapshot {
  readonly keys: readonly KeyValue[]
  readonly revision: bigint
}

/** Hears of every applied revision; `undefined` events mean that the store was replaced. */
export type StoreListener = (events: readonly WatchEvent[] | undefined) => void

export interface MemoryStoreOptions {
  readonly clock: Clock
  readonly clusterId?: string
  /** The smallest TTL that is granted, like etcd's floor. Default 1. */
  readonly ttlSecondsMin?: number
}

export class MemoryStore {
  readonly clock: Clock
  readonly #ttlSecondsMin: number
  readonly #keys = new Map<string, KeyValue>()
  readonly #leases = new Map<bigint, HeldLease>()
  readonly #listeners = new Set<StoreListener>()
  #clusterId: string
  #revision = 1n
  #raftTerm = 2n
  #nextLeaseId = 7_587_899_103_242_114_567n

  constructor(options: MemoryStoreOptions) {
    this.clock = options.clock
    this.#clusterId = options.clusterId ?? '14841639068965178418'
    this.#ttlSecondsMin = options.ttlSecondsMin ?? 1
  }

  get position(): Position {
    return { clusterId: this.#clusterId, revision: this.#revision, raftTerm: this.#raftTerm }
  }

  keys(): readonly KeyValue[] {
    return [...this.#keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  listen(listener: StoreListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  txn(conditions: readonly Condition[], writes: readonly Write[]): TxnResult {
    if (touchesTwice(writes)) return { kind: 'refused' }
    if (!conditions.every(condition => this.#holds(condition))) return { kind: 'compare-failed' }
    const isLeaseGone = writes.some(
      write => write.kind === 'put' && write.leaseId !== undefined && !this.#leases.has(write.leaseId),
    )
    if (isLeaseGone) return { kind: 'lease-gone' }
    this.#apply(writes)
    return { kind: 'applied', revision: this.#revision }
  }

  grant(ttlSeconds: number): { readonly id: bigint; readonly ttlSeconds: number } {
    const id = this.#nextLeaseId
    this.#nextLeaseId += 1n
    const granted = Math.max(Math.ceil(ttlSeconds), this.#ttlSecondsMin)
    this.#hold(id, granted)
    return { id, ttlSeconds: granted }
  }

  /** The TTL after the renewal; undefined when the lease does not exist. */
  keepAlive(id: bigint): number | undefined {
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    lease.timer.cancel()
    this.#hold(id, lease.ttlSeconds)
    return lease.ttlSeconds
  }

  /** Whole seconds left, rounded down as etcd does, and those granted; undefined when the lease does not exist. */
  timeToLive(id: bigint): { readonly leftSeconds: number; readonly grantedSeconds: number } | undefined {
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    const leftMs = Math.max(0, lease.expiresAtMs - this.clock.monotonicMs())
    return { leftSeconds: Math.floor(leftMs / 1000), grantedSeconds: lease.ttlSeconds }
  }

  /** Ends a lease and deletes its keys in one revision; false when it does not exist. */
  revoke(id: bigint): boolean {
    const lease = this.#leases.get(id)
    if (lease === undefined) return false
    lease.timer.cancel()
    this.#leases.delete(id)
    const keys = this.keys().filter(kv => kv.leaseId === id)
    this.#apply(keys.map(kv => ({ kind: 'delete', key: kv.key })))
    return true
  }

  snapshot(): StoreSnapshot {
    return { keys: this.keys(), revision: this.#revision }
  }

  /** As after a restore from a backup: older revision, lower term, and another cluster id if one is given. */
  restore(snapshot: StoreSnapshot, clusterId: string = this.#clusterId): void {
    this.#keys.clear()
    for (const kv of snapshot.keys) this.#keys.set(kv.key, kv)
    this.#revision = snapshot.revision
    this.#raftTerm = 1n
    this.#clusterId = clusterId
    for (const listener of [...this.#listeners]) listener(undefined)
  }

  /** Drops all timers of leases. */
  close(): void {
    for (const lease of this.#leases.values()) lease.timer.cancel()
  }

  #hold(id: bigint, ttlSeconds: number): void {
    const ttlMs = ttlSeconds * 1000
    const timer = this.clock.setTimer(ttlMs, () => void this.revoke(id))
    this.#leases.set(id, { ttlSeconds, expiresAtMs: this.clock.monotonicMs() + ttlMs, timer })
  }

  #holds(condition: Condition): boolean {
    const kv = this.#keys.get(condition.key)
    if (condition.kind === 'absent') return kv === undefined
    if (condition.kind === 'create-revision') return (kv?.createRevision ?? 0n) === condition.revision
    return (kv?.modRevision ?? 0n) === condition.revision
  }

  #apply(writes: readonly Write[]): void {
    const revision = this.#revision + 1n
    const events = writes.flatMap(write => this.#applyOne(write, revision))
    if (events.length === 0) return
    this.#revision = revision
    for (const listener of [...this.#listeners]) listener(events)
  }

  #applyOne(write: Write, revision: bigint): readonly WatchEvent[] {
    if (write.kind === 'put') {
      const { key, value, leaseId = 0n } = write
      const createRevision = this.#keys.get(key)?.createRevision ?? revision
      const kv = { key, value, createRevision, modRevision: revision, leaseId }
      this.#keys.set(key, kv)
      return [{ kind: 'put', kv }]
    }
    const keys =
      write.kind === 'delete'
        ? [write.key]
        : [...this.#keys.keys()].filter(key => key.startsWith(write.prefix))
    return keys.filter(key => this.#keys.delete(key)).map(key => ({ kind: 'delete', key, revision }))
  }
}

/** etcd refuses a transaction that puts a key twice, or puts one that it also deletes. */
function touchesTwice(writes: readonly Write[]): boolean {
  const puts = writes.filter(write => write.kind === 'put').map(write => write.key)
  if (new Set(puts).size !== puts.length) return true
  return writes.some(write => {
    if (write.kind === 'delete') return puts.includes(write.key)
    return write.kind === 'delete-prefix' && puts.some(key => key.startsWith(write.prefix))
  })
}
