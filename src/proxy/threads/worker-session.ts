// In a worker: a session that moves bytes. The control thread keeps its books; this ends it by itself when its gate closes.

import type { Clock } from '../../platform/clock.ts'
import { type Carried, type CarryListener, carryHere, type SessionGate } from '../carry.ts'
import { printFatal } from '../error-response.ts'
import type { IdleReason } from '../idle-watch.ts'
import { answeredAsStandby, cutWords } from '../last-words.ts'
import type { CloseKind, HalfClose, RelayEnd } from '../relay/relay.ts'
import type { WireListener } from '../relay/wire.ts'
import type { SharedGate } from './gate-sheet.ts'
import type { CarryOrder, Report } from './messages.ts'
import type { ThreadSheet } from './thread-sheet.ts'
import type { WorkerWire } from './worker-wire.ts'

export interface WorkerSessionOptions {
  readonly clock: Clock
  readonly sheet: ThreadSheet
  readonly order: CarryOrder
  readonly client: WorkerWire
  readonly server: WorkerWire
  readonly gate: SharedGate
  readonly report: (report: Report) => void
  /** Sessions in which something moved since the control thread was told last: it puts itself in. */
  readonly moved: Set<WorkerSession>
  /** Both wires are gone. */
  readonly onOver: (session: WorkerSession) => void
}

/** How it is to end. */
interface Ordered {
  readonly why: RelayEnd
  readonly kind: CloseKind
  readonly words: Buffer | undefined
}

export class WorkerSession implements CarryListener, SessionGate {
  readonly id: number
  readonly gate: SharedGate
  readonly #serverName: string
  readonly #report: (report: Report) => void
  readonly #moved: Set<WorkerSession>
  readonly #onOver: (session: WorkerSession) => void
  readonly #carried: Carried
  #end: RelayEnd | undefined
  #ordered: Ordered | undefined
  #toldAtMs = Number.NEGATIVE_INFINITY
  /** Does the control thread believe that a statement waits here? */
  #isToldUnanswered = false

  /** Both wires are its own from now on. */
  constructor(options: WorkerSessionOptions) {
    const { clock, sheet, order, client, server, gate, report, moved, onOver } = options
    const { serverName, isWrite, timeouts, first, skipBytes } = order
    this.id = order.wire
    this.gate = gate
    this.#serverName = serverName
    this.#report = report
    this.#moved = moved
    this.#onOver = onOver
    const early = client.handOver().subarray(skipBytes)
    const wires = { client: client.wire, server: server.wire }
    this.#carried = carryHere({
      ...{ clock, timeouts, isWrite, serverName, first, early },
      ...wires,
      gate: this,
      listener: this,
    })
    sheet.beginPassing()
    this.#carried.relay.start(early)
    sheet.endPassing()
    moved.add(this)
    // Anybody who reads after the relay only drops what comes.
    if (!wires.client.isDestroyed)
      wires.client.listener = new Marked(wires.client.listener, sheet, () => moved.add(this))
    if (!wires.server.isDestroyed)
      wires.server.listener = new Marked(wires.server.listener, sheet, () => this.#tellAnswer())
    // The end came before there was a relay, and no wire tells it twice.
    if (client.hasEnded) client.wire.listener.onEnd()
  }

  /** It is to be closed, with the words of the first who says so. Nothing passes from now on; the rest comes with `end`. */
  order(kind: CloseKind, words: Buffer | undefined): void {
    this.#ordered ??= { why: 'cut', kind, words }
  }

  /** The same because its gate has closed: nobody waits for a byte to find it out. False: it ends, or is about to. */
  orderByGate(): boolean {
    if (this.#end !== undefined || this.#ordered !== undefined) return false
    this.#ordered = { why: 'gate-closed', kind: 'cut', words: this.#gateWords() }
    return true
  }

  /** Its turn has come to end as it was ordered to. */
  end(): void {
    if (this.#ordered === undefined) return
    this.#end ??= this.#ordered.why
    this.#carried.relay.close(this.#ordered.kind, this.#ordered.words)
  }

  isOpen(nowMs: number): boolean {
    return this.#ordered === undefined && this.gate.isOpen(nowMs)
  }

  get closedBecause(): SharedGate['closedBecause'] {
    return this.gate.closedBecause
  }

  closeIfIdle(words: Buffer): void {
    this.#carried.relay.closeIfIdle(words)
  }

  holdWhenIdle(isOn: boolean): void {
    this.#carried.relay.holdWhenIdle(isOn)
  }

  /** What it has moved, as FIGURES says, if that is news. */
  news(): readonly number[] | undefined {
    const { relay } = this.#carried
    const { toServerBytes, toClientBytes, lastActivityMs, isUnanswered } = relay.counters()
    if (lastActivityMs <= this.#toldAtMs && isUnanswered === this.#isToldUnanswered) return undefined
    this.#toldAtMs = lastActivityMs
    this.#isToldUnanswered = isUnanswered
    const flags = [relay.isIdle() ? 1 : 0, isUnanswered ? 1 : 0]
    return [this.id, toServerBytes, toClientBytes, lastActivityMs, ...flags]
  }

  /** A statement that was waited for is over: the next cancel request must not be drawn to it. */
  #tellAnswer(): void {
    this.#moved.add(this)
    if (!this.#isToldUnanswered) return
    const figures = this.news()
    if (figures !== undefined) this.#report({ tells: 'moved', figures: Float64Array.from(figures) })
  }

  onCancelKey(key: string): void {
    this.#report({ tells: 'cancel-key', wire: this.id, key })
  }

  onServerRefused(why: string): void {
    this.#report({ tells: 'refused', wire: this.id, why })
  }

  onIdle(why: IdleReason): void {
    this.#report({ tells: 'idle', wire: this.id, why })
  }

  onHalfClosed(why: HalfClose): void {
    this.#carried.idle?.onHalfClosed()
    this.#report({ tells: 'half-closed', wire: this.id, why })
  }

  onEnding(why: RelayEnd): void {
    // A piece has found the gate closed, or has come in front of the session's turn to end.
    if (why === 'gate-closed') this.orderByGate()
    this.#end ??= why === 'gate-closed' ? (this.#ordered?.why ?? why) : why
    this.#carried.idle?.stop()
    this.#report({ tells: 'ending', wire: this.id, why: this.#end })
    if (why === 'gate-closed') this.end()
    if (why === 'refused') this.#carried.relay.close('cut', printFatal(answeredAsStandby(this.#serverName)))
  }

  onRelayClosed(): void {
    this.#carried.idle?.stop()
    this.#report({ tells: 'over', wire: this.id, counters: this.#carried.relay.counters() })
    this.#moved.delete(this)
    this.#onOver(this)
  }

  #gateWords(): Buffer {
    const closed = this.gate.closedBecause
    const says = closed?.says ?? `the last evidence that ${this.#serverName} leads has ended`
    return cutWords(closed?.reason ?? 'evidence-expired', says)
  }
}

/** Tells the control thread while a piece of data is in hand. */
class Marked implements WireListener {
  readonly #inner: WireListener
  readonly #sheet: ThreadSheet
  readonly #onPassed: () => void

  constructor(inner: WireListener, sheet: ThreadSheet, onPassed: () => void) {
    this.#inner = inner
    this.#sheet = sheet
    this.#onPassed = onPassed
  }

  onData(bytes: Buffer): void {
    this.#sheet.beginPassing()
    this.#inner.onData(bytes)
    this.#sheet.endPassing()
    this.#onPassed()
  }

  onEnd(): void {
    this.#inner.onEnd()
  }

  onTaken(): void {
    this.#inner.onTaken()
  }

  onBroken(): void {
    this.#inner.onBroken()
  }

  onClosed(): void {
    this.#inner.onClosed()
  }
}
