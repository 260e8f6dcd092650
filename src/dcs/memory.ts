// The Dcs over a MemoryStore: the same contract as etcd's, by a Clock that a test may hold, with a few faults to order.

import { type ClusterView, parseView } from '../cluster/view.ts'
import type { Clock } from '../platform/clock.ts'
import { type Deadline, DeadlineError } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
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
} from './dcs.ts'
import type { MemoryStore } from './memory-store.ts'
import { NoticeQueue } from './notices.ts'

/** How the way to the store misbehaves for one client. */
export interface MemoryFaults {
  /** Nothing leaves: calls fail at once, watches are lost. */
  readonly unreachable: boolean
  /** Requests reach the store, and are answered, this much later; what is late for its caller is applied all the same. */
  readonly delayMs: number
  /** Requests are applied but their answers never come. */
  readonly answersLost: boolean
}

const noFaults: MemoryFaults = { unreachable: false, delayMs: 0, answersLost: false }

/** One client of the store: what an agent or a proxy would hold. Clients of one store see each other's writes. */
export class MemoryDcs implements Dcs {
  readonly #store: MemoryStore
  readonly #clock: Clock
  readonly #watches = new Map<NoticeQueue, () => void>()
  #faults: MemoryFaults = noFaults

  constructor(store: MemoryStore) {
    this.#store = store
    this.#clock = store.clock
  }

  /** Orders faults; those not named are off. */
  setFaults(faults: Partial<MemoryFaults>): void {
    const wasUnreachable = this.#faults.unreachable
    this.#faults = { ...noFaults, ...faults }
    if (wasUnreachable === this.#faults.unreachable) return
    const why = wasUnreachable ? 'watch resumed' : 'watch lost: the store is unreachable'
    for (const queue of this.#watches.keys()) queue.push({ kind: 'stale', why })
  }

  read(by: Deadline): Promise<ClusterView> {
    return this.#ask('read the cluster', by, () => parseView(this.#store.position, this.#store.keys()))
  }

  grantLease(ttlSeconds: number, by: Deadline): Promise<Lease> {
    const sentAtMs = this.#clock.monotonicMs()
    return this.#ask('grant a lease', by, () => ({ ...this.#store.grant(ttlSeconds), sentAtMs }))
  }

  keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal> {
    const sentAtMs = this.#clock.monotonicMs()
    return this.#order<Renewal>(
      by,
      () => {
        const ttlSeconds = this.#store.keepAlive(leaseId)
        if (ttlSeconds === undefined) return { outcome: 'lost' }
        return { outcome: 'won', lease: { id: leaseId, ttlSeconds, sentAtMs } }
      },
      outcome => ({ outcome }),
    )
  }

  leaseLeft(leaseId: bigint, by: Deadline): Promise<LeaseLeft> {
    const sentAtMs = this.#clock.monotonicMs()
    return this.#ask('read a lease', by, () => {
      const left = this.#store.timeToLive(leaseId)
      return { leftSeconds: left?.leftSeconds, grantedSeconds: left?.grantedSeconds ?? 0, sentAtMs }
    })
  }

  revokeLease(leaseId: bigint, by: Deadline): Promise<Outcome> {
    const revoke = (): Outcome => (this.#store.revoke(leaseId) ? 'won' : 'lost')
    return this.#order<Outcome>(by, revoke, outcome => outcome)
  }

  write(conditions: readonly Condition[], writes: readonly Write[], by: Deadline): Promise<Written> {
    return this.#order<Written>(
      by,
      () => {
        const result = this.#store.txn(conditions, writes)
        if (result.kind === 'applied') return { outcome: 'won', revision: result.revision }
        return { outcome: result.kind === 'refused' ? 'unreachable' : 'lost', revision: undefined }
      },
      outcome => ({ outcome, revision: undefined }),
    )
  }

  watch(options: WatchOptions): AsyncIterable<Notice> {
    const stop = () => {
      unlisten()
      options.signal.removeEventListener('abort', stop)
      this.#watches.delete(queue)
      queue.end()
    }
    const queue = new NoticeQueue(stop)
    const unlisten = this.#store.listen(events => {
      if (this.#faults.unreachable) return
      if (events === undefined) queue.push({ kind: 'stale', why: 'the store was restored' })
      else queue.push({ kind: 'events', position: this.#store.position, events })
    })
    this.#watches.set(queue, stop)
    options.signal.addEventListener('abort', stop, { once: true })
    queue.push({ kind: 'stale', why: 'watch started' })
    if (options.signal.aborted) stop()
    return queue
  }

  async close(): Promise<void> {
    for (const stop of [...this.#watches.values()]) stop()
  }

  /** A question: throws when its answer does not come in time. */
  async #ask<T>(what: string, by: Deadline, work: () => T): Promise<T> {
    if (this.#faults.unreachable) {
      throw new HaError('E_DCS_UNREACHABLE', `memory store: ${what} failed: unreachable`, { retryable: true })
    }
    try {
      if (by.isOver()) throw new DeadlineError(what)
      return await by.run(what, () => this.#carry(work))
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
      throw new HaError('E_DCS_TIMEOUT', `memory store: ${error.message}`, { retryable: true, cause: error })
    }
  }

  /** A change: an answer that does not come in time is `unknown`, and the change may still come. */
  async #order<T>(
    by: Deadline,
    work: () => T,
    failed: (outcome: 'unreachable' | 'unknown') => T,
  ): Promise<T> {
    if (this.#faults.unreachable || by.isOver()) return failed('unreachable')
    try {
      return await by.run('write', () => this.#carry(work))
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
      return failed('unknown')
    }
  }

  async #carry<T>(work: () => T): Promise<T> {
    const { delayMs, answersLost } = this.#faults
    if (delayMs > 0) await this.#clock.sleep(delayMs)
    const answer = work()
    return answersLost ? new Promise<never>(() => {}) : answer
  }
}
