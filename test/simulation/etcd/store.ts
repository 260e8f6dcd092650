// The replicated state of the modelled etcd: keys with revisions, transactions, leases, a log that can be compacted.
// Synchronous and without a network: cluster.ts says who reaches it and when.

import { type ClusterView, type KeyValue, type Position, parseView } from '../../../src/cluster/view.ts'
import type { Condition, WatchEvent, Write } from '../../../src/dcs/dcs.ts'

interface HeldLease {
  readonly ttlSeconds: number
  expiresAtMs: number
}

export type TxnResult =
  | { readonly kind: 'applied'; readonly revision: bigint }
  | { readonly kind: 'compare-failed' | 'lease-gone' | 'refused' }

/** Revisions that the log keeps by itself. */
const LOG_MAX = 5_000

export class EtcdStore {
  readonly #now: () => number
  readonly #onApplied: () => void
  readonly #keys = new Map<string, KeyValue>()
  readonly #leases = new Map<bigint, HeldLease>()
  #log: { readonly revision: bigint; readonly events: readonly WatchEvent[] }[] = []
  #compactedTo = 1n
  readonly #clusterId = '14841639068965178418'
  #revision = 1n
  #raftTerm = 2n
  #nextLeaseId = 7_587_899_103_242_114_567n
  #view: ClusterView | undefined

  /** `now` is the world's time in ms; `onApplied` is called after each new revision. */
  constructor(now: () => number, onApplied: () => void) {
    this.#now = now
    this.#onApplied = onApplied
  }

  get position(): Position {
    return { clusterId: this.#clusterId, revision: this.#revision, raftTerm: this.#raftTerm }
  }

  get revision(): bigint {
    return this.#revision
  }

  key(name: string): KeyValue | undefined {
    return this.#keys.get(name)
  }

  /** The parsed scope; one object for each revision, as nothing in it is ever changed. */
  view(): ClusterView {
    this.#view ??= parseView(this.position, [...this.#keys.values()])
    return this.#view
  }

  txn(conditions: readonly Condition[], writes: readonly Write[]): TxnResult {
    if (touchesTwice(writes)) return { kind: 'refused' }
    if (!conditions.every(condition => this.#holds(condition))) return { kind: 'compare-failed' }
    const hasLostLease = writes.some(
      write => write.kind === 'put' && write.leaseId !== undefined && !this.#leases.has(write.leaseId),
    )
    if (hasLostLease) return { kind: 'lease-gone' }
    this.#apply(writes)
    return { kind: 'applied', revision: this.#revision }
  }

  grant(ttlSeconds: number): { readonly id: bigint; readonly ttlSeconds: number } {
    const id = this.#nextLeaseId
    this.#nextLeaseId += 1n
    const granted = Math.max(Math.ceil(ttlSeconds), 2)
    this.#leases.set(id, { ttlSeconds: granted, expiresAtMs: this.#now() + granted * 1000 })
    return { id, ttlSeconds: granted }
  }

  keepAlive(id: bigint): number | undefined {
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    lease.expiresAtMs = this.#now() + lease.ttlSeconds * 1000
    return lease.ttlSeconds
  }

  timeToLive(id: bigint): { readonly leftSeconds: number; readonly grantedSeconds: number } | undefined {
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    const leftMs = Math.max(0, lease.expiresAtMs - this.#now())
    return { leftSeconds: Math.floor(leftMs / 1000), grantedSeconds: lease.ttlSeconds }
  }

  revoke(id: bigint): boolean {
    if (!this.#leases.delete(id)) return false
    const gone = [...this.#keys.values()].filter(kv => kv.leaseId === id)
    this.#apply(gone.map(kv => ({ kind: 'delete', key: kv.key })))
    return true
  }

  /** When the next lease ends; undefined without leases. */
  nextExpiryMs(): number | undefined {
    let next: number | undefined
    for (const { expiresAtMs } of this.#leases.values()) {
      if (next === undefined || expiresAtMs < next) next = expiresAtMs
    }
    return next
  }

  /** Ends the leases whose time is up. Returns the member names whose leader key went with them. */
  expire(): readonly string[] {
    const holders: string[] = []
    for (const [id, lease] of [...this.#leases]) {
      if (lease.expiresAtMs > this.#now()) continue
      const leader = this.#keys.get('leader')
      if (leader?.leaseId === id) holders.push(leader.value)
      this.revoke(id)
    }
    return holders
  }

  /** A new raft leader gives every lease its whole life again. */
  onElected(): void {
    this.#raftTerm += 1n
    this.#view = undefined
    for (const lease of this.#leases.values()) lease.expiresAtMs = this.#now() + lease.ttlSeconds * 1000
  }

  /** Events after `revision`; undefined when the log does not reach back that far. */
  eventsAfter(revision: bigint): readonly WatchEvent[] | undefined {
    if (revision < this.#compactedTo) return undefined
    return this.#log.filter(entry => entry.revision > revision).flatMap(entry => entry.events)
  }

  /** Forgets the log up to the present revision. */
  compact(): void {
    this.#compactedTo = this.#revision
    this.#log = []
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
    this.#view = undefined
    this.#log.push({ revision, events })
    if (this.#log.length > LOG_MAX) this.#compactedTo = this.#log.shift()?.revision ?? this.#compactedTo
    this.#onApplied()
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
  const puts = new Set<string>()
  for (const write of writes) {
    if (write.kind !== 'put') continue
    if (puts.has(write.key)) return true
    puts.add(write.key)
  }
  return writes.some(write => {
    if (write.kind === 'delete') return puts.has(write.key)
    return write.kind === 'delete-prefix' && [...puts].some(key => key.startsWith(write.prefix))
  })
}
