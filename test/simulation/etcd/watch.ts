// A watch on the modelled etcd: events come late, in order; a stream that is cut off catches up from the log, or tells
// `stale` when the log was compacted meanwhile.

import { NoticeQueue } from '../../../src/dcs/notices.ts'
import type { Process } from '../core/machine.ts'
import type { Network } from '../core/network.ts'
import type { Random } from '../core/random.ts'
import type { EtcdCluster, EtcdMember } from './cluster.ts'

export interface SimWatchParts {
  readonly process: Process
  readonly cluster: EtcdCluster
  readonly network: Network
  readonly random: Random
  readonly streams: 1 | 2
  readonly signal: AbortSignal
  readonly onClosed: () => void
}

/** A stream that was cut off is opened anew after this pause. */
const REOPEN_MS = 300

export class SimWatch {
  readonly notices: NoticeQueue
  readonly #parts: SimWatchParts
  readonly #members: readonly EtcdMember[]
  readonly #unlisten: () => void
  readonly #onAbort = () => this.close()
  #lastRevision: bigint
  #clusterId: string
  #isFlushing = false
  #isClosed = false

  constructor(parts: SimWatchParts) {
    const { cluster, random, streams, signal } = parts
    this.#parts = parts
    this.#members = random.shuffled(cluster.members).slice(0, streams)
    this.#lastRevision = cluster.store.revision
    this.#clusterId = cluster.store.position.clusterId
    this.notices = new NoticeQueue(() => this.close())
    this.#unlisten = cluster.onApplied(() => this.#flushSoon())
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.notices.push({ kind: 'stale', why: 'watch started' })
    if (signal.aborted) this.close()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unlisten()
    this.#parts.signal.removeEventListener('abort', this.#onAbort)
    this.notices.end()
    this.#parts.onClosed()
  }

  /** One delivery is under way at a time: what comes meanwhile goes with it, so the order is kept. */
  #flushSoon(): void {
    if (this.#isFlushing || this.#isClosed || this.#parts.process.isDead) return
    const { network, process, cluster } = this.#parts
    const member = this.#members.find(
      one => cluster.isUsable(one) && network.connects(one.name, process.machine.name),
    )
    this.#isFlushing = true
    if (member === undefined) {
      process.later(REOPEN_MS, () => this.#again())
      return
    }
    process.later(network.delayMs(member.name, process.machine.name), () => {
      if (!network.passes(member.name, process.machine.name)) {
        process.later(REOPEN_MS, () => this.#again())
        return
      }
      this.#isFlushing = false
      this.#flush()
    })
  }

  #again(): void {
    this.#isFlushing = false
    this.#flushSoon()
  }

  #flush(): void {
    if (this.#isClosed) return
    const { store } = this.#parts.cluster
    const { position } = store
    const isReplaced = position.clusterId !== this.#clusterId
    const events = isReplaced ? undefined : store.eventsAfter(this.#lastRevision)
    this.#lastRevision = position.revision
    this.#clusterId = position.clusterId
    if (events === undefined) this.notices.push({ kind: 'stale', why: 'the log was compacted or replaced' })
    else if (events.length > 0) this.notices.push({ kind: 'events', position, events })
  }
}
