// One client of the modelled etcd: the Dcs of an agent or of a proxy. Keeps the contract of src/dcs/dcs.ts: questions are
// repeated within their deadline, writes never, and a write without an answer is `unknown`.

import type { ClusterView } from '../../../src/cluster/view.ts'
import type {
  Condition,
  Dcs,
  Lease,
  LeaseLeft,
  Notice,
  Outcome,
  Renewal,
  WatchOptions,
  Write,
  Written,
} from '../../../src/dcs/dcs.ts'
import type { Deadline } from '../../../src/platform/deadline.ts'
import { HaError } from '../../../src/platform/errors.ts'
import type { Process } from '../core/machine.ts'
import type { Network } from '../core/network.ts'
import type { Random } from '../core/random.ts'
import type { EtcdCluster, EtcdMember } from './cluster.ts'
import type { TxnResult } from './store.ts'
import { SimWatch } from './watch.ts'

export interface SimDcsParts {
  readonly process: Process
  readonly cluster: EtcdCluster
  readonly network: Network
  readonly random: Random
  /** Sees each transaction at the instant at which it is decided. */
  readonly onTxn?: (
    client: string,
    conditions: readonly Condition[],
    writes: readonly Write[],
    result: TxnResult,
  ) => void
}

const ATTEMPT_MS = 700
const PAUSE_MS = 100

type Attempt<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent' }

export class SimDcs implements Dcs {
  readonly #parts: SimDcsParts
  readonly #watches = new Set<SimWatch>()
  #preferred: number

  constructor(parts: SimDcsParts) {
    this.#parts = parts
    this.#preferred = parts.random.whole(0, parts.cluster.members.length - 1)
  }

  read(by: Deadline): Promise<ClusterView> {
    return this.#ask('read the cluster', by, () => this.#parts.cluster.store.view())
  }

  grantLease(ttlSeconds: number, by: Deadline): Promise<Lease> {
    const sentAtMs = this.#parts.process.monotonicMs()
    return this.#ask('grant a lease', by, () => ({
      ...this.#parts.cluster.store.grant(ttlSeconds),
      sentAtMs,
    }))
  }

  keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal> {
    const { process, cluster } = this.#parts
    const sentAtMs = process.monotonicMs()
    return this.#order<Renewal>(
      by,
      () => {
        const ttlSeconds = cluster.store.keepAlive(leaseId)
        if (ttlSeconds === undefined) return { outcome: 'lost' }
        return { outcome: 'won', lease: { id: leaseId, ttlSeconds, sentAtMs } }
      },
      outcome => ({ outcome }),
    )
  }

  leaseLeft(leaseId: bigint, by: Deadline): Promise<LeaseLeft> {
    const { process, cluster } = this.#parts
    const sentAtMs = process.monotonicMs()
    return this.#ask('read a lease', by, () => {
      const left = cluster.store.timeToLive(leaseId)
      return { leftSeconds: left?.leftSeconds, grantedSeconds: left?.grantedSeconds ?? 0, sentAtMs }
    })
  }

  revokeLease(leaseId: bigint, by: Deadline): Promise<Outcome> {
    const { store } = this.#parts.cluster
    return this.#order<Outcome>(
      by,
      () => (store.revoke(leaseId) ? 'won' : 'lost'),
      outcome => outcome,
    )
  }

  write(conditions: readonly Condition[], writes: readonly Write[], by: Deadline): Promise<Written> {
    const { cluster, process, onTxn } = this.#parts
    return this.#order<Written>(
      by,
      () => {
        const result = cluster.store.txn(conditions, writes)
        onTxn?.(process.name, conditions, writes, result)
        if (result.kind === 'applied') return { outcome: 'won', revision: result.revision }
        return { outcome: result.kind === 'refused' ? 'unreachable' : 'lost', revision: undefined }
      },
      outcome => ({ outcome, revision: undefined }),
    )
  }

  watch(options: WatchOptions): AsyncIterable<Notice> {
    const watch = new SimWatch({ ...this.#parts, ...options, onClosed: () => this.#watches.delete(watch) })
    if (!options.signal.aborted) this.#watches.add(watch)
    return watch.notices
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.close()
  }

  /** A question: asked again, of another member each time, until its deadline. */
  async #ask<T>(what: string, by: Deadline, work: () => T): Promise<T> {
    let isReached = false
    for (let patienceMs = ATTEMPT_MS; !by.isOver(); patienceMs *= 2) {
      for (let tried = 0; tried < this.#parts.cluster.members.length && !by.isOver(); tried += 1) {
        const attempt = await this.#attempt(Math.min(patienceMs, by.remainingMs()), work)
        if (attempt.kind === 'answer') return attempt.value
        isReached ||= attempt.kind === 'silent'
        this.#preferred += 1
      }
      if (!by.isOver()) await this.#parts.process.sleep(Math.min(PAUSE_MS, by.remainingMs()))
    }
    const code = isReached || by.remainingMs() === 0 ? 'E_DCS_TIMEOUT' : 'E_DCS_UNREACHABLE'
    throw new HaError(code, `modelled etcd: ${what} failed`, { retryable: true })
  }

  /** A change: leaves once. A member that refuses the connection has surely not applied it. */
  async #order<T>(
    by: Deadline,
    work: () => T,
    failed: (outcome: 'unreachable' | 'unknown') => T,
  ): Promise<T> {
    while (!by.isOver()) {
      const attempt = await this.#attempt(Math.min(2 * ATTEMPT_MS, by.remainingMs()), work)
      if (attempt.kind === 'answer') return attempt.value
      this.#preferred += 1
      if (attempt.kind === 'silent') return failed('unknown')
      if (!by.isOver()) await this.#parts.process.sleep(Math.min(PAUSE_MS, by.remainingMs()))
    }
    return failed('unreachable')
  }

  #attempt<T>(withinMs: number, work: () => T): Promise<Attempt<T>> {
    const { process, cluster } = this.#parts
    return new Promise(resolve => {
      const timer = process.setTimer(withinMs, () => resolve({ kind: 'silent' }))
      cluster.submit(process.machine.name, this.#member(), work, reply =>
        process.deliver(() => {
          timer.cancel()
          resolve(reply)
        }),
      )
    })
  }

  #member(): EtcdMember {
    const { members } = this.#parts.cluster
    const member = members[this.#preferred % members.length]
    if (member === undefined) throw new Error('etcd has no members')
    return member
  }
}
