// Keeps one or two watch streams open, each on another member, and makes one ordered sequence of notices of them.
//
//   slot 0: stream on member A --+
//                                +-- drop what is not newer than `lastRevision` --> NoticeQueue --> reader
//   slot 1: stream on member B --+
//
// Every stream begins at or before lastRevision + 1 and delivers whole revisions in order, so the first stream that
// brings a revision has brought everything before it: one number is enough to drop the other's copies.

import type { Position } from '../../cluster/view.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import type { WatchEvent, WatchOptions } from '../dcs.ts'
import type { DcsMetrics } from '../metrics.ts'
import { NoticeQueue } from '../notices.ts'
import type { Tell } from '../tell.ts'
import type { Calls } from './calls.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { type StreamEnd, WatchStream } from './stream.ts'
import { isBehind, isForeign, type RaftTerms } from './terms.ts'
import { revisionOf, type Wire } from './wire.ts'

export interface WatcherParts {
  readonly calls: Calls
  readonly endpoints: Endpoints
  readonly wire: Wire
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: DcsMetrics
  readonly tell: Tell
  readonly silenceMs: number
  /** Called once, when the watch is closed by whomever. */
  readonly onClosed: (watcher: Watcher) => void
}

/** Constant, never growing: etcd's return must be seen at once, and one small request per pause hurts nobody. */
const REOPEN_MS = 200
/** A second stream that finds no second member looks again after this time. */
const ALONE_MS = 2_000
const ANSWER_MIN_MS = 1_000
/** Between the streams that move to new connections, so that one of them always tells. */
const RENEW_MS = 1_000

interface Slot {
  stream: WatchStream | undefined
  /** The revision that the stream was asked to begin at. */
  from: bigint | undefined
  isLive: boolean
  timer: Timer | undefined
}

/** The history that the notices follow. Replaced by another object when continuity is given up. */
interface Base {
  readonly clusterId: string
  lastRevision: bigint
}

export class Watcher {
  readonly notices: NoticeQueue
  readonly #parts: WatcherParts
  readonly #slots: readonly Slot[]
  readonly #stopListening: readonly (() => void)[]
  readonly #signal: AbortSignal
  readonly #onAbort = () => this.close()
  #renewals: Timer[] = []
  #base: Base | undefined
  #asking: Promise<void> | undefined
  #isClosed = false

  constructor(parts: WatcherParts, options: WatchOptions) {
    this.#parts = parts
    this.notices = new NoticeQueue(() => this.close())
    this.#slots = Array.from({ length: options.streams }, () => ({
      stream: undefined,
      from: undefined,
      isLive: false,
      timer: undefined,
    }))
    this.#stopListening = [
      parts.endpoints.onFailed(endpoint => this.#probeStreamsAt(endpoint)),
      parts.endpoints.onRenewed(() => this.#renew()),
    ]
    this.#signal = options.signal
    this.#signal.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signal.aborted) this.close()
    for (const slot of this.#slots) this.#open(slot)
  }

  /** Ends all streams and the reader's loop. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const stop of this.#stopListening) stop()
    this.#signal.removeEventListener('abort', this.#onAbort)
    for (const timer of this.#renewals) timer.cancel()
    for (const slot of this.#slots) {
      slot.timer?.cancel()
      slot.stream?.close('the watch was closed')
    }
    this.notices.end()
    this.#parts.onClosed(this)
  }

  #open(slot: Slot): void {
    if (this.#isClosed) return
    const { calls, clock, endpoints, terms, wire, silenceMs } = this.#parts
    const known = terms.current()
    if (known === undefined) {
      void this.#askWhichEtcd().then(() => {
        if (terms.current() !== undefined) this.#open(slot)
        else if (!this.#isClosed) slot.timer = clock.setTimer(REOPEN_MS, () => this.#open(slot))
      })
      return
    }
    const endpoint = this.#choose(slot)
    if (endpoint === undefined) {
      const isKnown = endpoints.all.length > 0
      slot.timer = clock.setTimer(isKnown ? ALONE_MS : REOPEN_MS, () => this.#open(slot))
      return
    }
    slot.from = this.#base === undefined ? undefined : this.#base.lastRevision + 1n
    // As much as a slow etcd needs: a stream that is given up too early is never open.
    const answerMs = Math.max(ANSWER_MIN_MS, calls.attemptMs)
    const stream = new WatchStream(
      { clock, wire, endpoint, from: slot.from, answerMs, silenceMs },
      {
        // The term that was known when it opened: an election that comes later makes no honest member look old.
        doubt: position =>
          isBehind(position, known) || isForeign(position, terms.current())
            ? this.#doubt(stream, position)
            : undefined,
        onCreated: position => this.#onCreated(slot, stream, position),
        onEvents: (position, events) => this.#onEvents(position, events),
        onAlive: () => endpoints.answered(endpoint),
        onEnd: end => this.#onEnd(slot, endpoint, end),
      },
    )
    slot.stream = stream
  }

  /** The best endpoint of a member that no other stream is on; undefined when there is none. */
  #choose(slot: Slot): Endpoint | undefined {
    const taken = this.#slots.flatMap(other =>
      other === slot || other.stream === undefined ? [] : [other.stream.endpoint],
    )
    const isTaken = (one: Endpoint) =>
      taken.some(other => other === one || (one.memberId !== undefined && other.memberId === one.memberId))
    return this.#parts.endpoints.order().find(one => !isTaken(one))
  }

  /** Certificates changed: the streams move to new connections, one after the other. */
  #renew(): void {
    for (const timer of this.#renewals.splice(0)) timer.cancel()
    for (const [index, slot] of this.#slots.entries()) {
      const { stream } = slot
      if (stream === undefined) continue
      this.#renewals.push(
        this.#parts.clock.setTimer(index * RENEW_MS, () => stream.close('moves to a new connection')),
      )
    }
  }

  #onCreated(slot: Slot, stream: WatchStream, position: Position): void {
    const base = this.#base
    if (base === undefined) {
      this.#base = { clusterId: position.clusterId, lastRevision: position.revision }
      slot.isLive = true
      this.#stale(`watch started at ${stream.endpoint.name}`)
      return
    }
    if (position.clusterId !== base.clusterId) {
      this.#checkForRestore(base, stream, position).catch(() => {})
      return
    }
    const from = slot.from ?? position.revision + 1n
    if (from > base.lastRevision + 1n) {
      stream.close('began after what the other stream has told')
      return
    }
    const wasBlind = !this.#slots.some(other => other.isLive)
    slot.isLive = true
    if (wasBlind) this.#stale(`watch resumed at ${stream.endpoint.name}`)
    if (position.revision < base.lastRevision) this.#checkForRestore(base, stream, position).catch(() => {})
  }

  /** A member from the past or from elsewhere; or all of etcd was restored or replaced, which a read tells. */
  #doubt({ endpoint }: WatchStream, position: Position): string {
    const { clusterId, raftTerm } = position
    const isElsewhere = isForeign(position, this.#parts.terms.current())
    const why = isElsewhere
      ? `belongs to another etcd cluster, ${clusterId}`
      : `answered from the older raft term ${raftTerm}`
    this.#parts.tell('dcs-not-believed', `etcd ${endpoint.name} is not believed: its watch ${why}`, {
      about: endpoint.name,
    })
    const base = this.#base
    if (base === undefined) void this.#askWhichEtcd()
    else this.#checkForRestore(base, undefined, position).catch(() => {})
    return why
  }

  /**
   * Whom to believe is settled by a linearizable read of all members: a stream has one member's word only, and whoever answers
   * first may be a stranger or live in the past. Never rejects; those who ask at the same time share one read.
   */
  #askWhichEtcd(): Promise<void> {
    const { calls, clock, wire } = this.#parts
    const by = Deadline.in(clock, calls.attemptMs * 3)
    this.#asking ??= calls
      .read('find the cluster', by, (rpc, call) =>
        rpc.range({ key: wire.key('leader'), keysOnly: true }, call),
      )
      .then(
        () => {},
        error => this.#parts.logger.debug(`no watch yet: ${messageOf(error)}`, { event: 'dcs-watch-failed' }),
      )
      .finally(() => {
        this.#asking = undefined
      })
    return this.#asking
  }

  #onEvents(position: Position, events: readonly WatchEvent[]): void {
    const base = this.#base
    if (base === undefined || position.clusterId !== base.clusterId) return
    const fresh = events.filter(event => revisionOf(event) > base.lastRevision)
    const newest = fresh.at(-1)
    if (newest === undefined) return
    base.lastRevision = revisionOf(newest)
    this.notices.push({ kind: 'events', position, events: fresh })
  }

  #onEnd(slot: Slot, endpoint: Endpoint, end: StreamEnd): void {
    const wasLive = slot.isLive
    slot.isLive = false
    slot.stream = undefined
    if (this.#isClosed) return
    this.#parts.metrics.watchRestart(endpoint.name)
    const tell = `the etcd watch at ${endpoint.name} ended: ${end.why}`
    if (wasLive) this.#parts.tell('dcs-watch-lost', tell, { about: endpoint.name })
    else this.#parts.logger.debug(tell, { event: 'dcs-watch-failed' })
    slot.timer = this.#parts.clock.setTimer(REOPEN_MS, () => this.#open(slot))
    const base = this.#base
    if (end.isFailure) this.#parts.endpoints.failed(endpoint)
    if (base !== undefined && (end.compactRevision ?? 0n) > base.lastRevision + 1n) this.#reset(end.why)
    else if (base !== undefined && wasLive && !this.#slots.some(other => other.isLive))
      this.#stale(`watch lost: ${tell}`)
  }

  /**
   * The member stands before what we have seen, or in another cluster. A follower that lags will catch up; after a restore
   * from a backup it never would, and a watch from a future revision stays silent without an error. A linearizable read
   * tells which; one that still finds the known cluster shows that this member alone is elsewhere.
   */
  async #checkForRestore(base: Base, stream: WatchStream | undefined, found: Position): Promise<void> {
    const { calls, clock, endpoints, wire } = this.#parts
    const seen = base.lastRevision
    try {
      const by = Deadline.in(clock, calls.attemptMs * 3)
      const { position } = await calls.read('check the revision', by, (rpc, call) =>
        rpc.range({ key: wire.key('leader'), keysOnly: true }, call),
      )
      if (this.#base !== base) return
      if (position.clusterId !== base.clusterId) {
        this.#reset(`etcd cluster ${position.clusterId} answers in place of ${base.clusterId}`)
      } else if (position.revision < seen) {
        this.#reset(`etcd went back from revision ${seen} to ${position.revision}`)
      } else if (found.clusterId !== base.clusterId) {
        stream?.close(`belongs to another etcd cluster, ${found.clusterId}`)
        if (stream !== undefined) endpoints.failed(stream.endpoint)
      }
    } catch (error) {
      stream?.close(`cannot tell whether etcd was restored: ${String(error)}`)
    }
  }

  /** Gives up continuity: all streams begin anew from now, and the reader must read everything. */
  #reset(why: string): void {
    if (this.#base === undefined) return
    this.#base = undefined
    this.#parts.tell('dcs-watch-reset', `the etcd watch starts over: ${why}`)
    for (const slot of this.#slots) slot.stream?.close(why)
    this.#stale(why)
  }

  #stale(why: string): void {
    this.#parts.metrics.watchStale()
    this.notices.push({ kind: 'stale', why })
  }

  #probeStreamsAt(endpoint: Endpoint): void {
    for (const slot of this.#slots) if (slot.stream?.endpoint === endpoint) slot.stream.probe()
  }
}
