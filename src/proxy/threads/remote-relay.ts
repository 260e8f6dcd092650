// In the control thread: a relay that runs in a worker. What it has moved is known to a tenth of a second.

import type { CarryListener } from '../carry.ts'
import type { IdleReason } from '../idle-watch.ts'
import type { CloseKind, HalfClose, Relay, RelayCounters, RelayEnd } from '../relay/relay.ts'
import { type CarryOrder, copied } from './messages.ts'
import type { WireHome } from './remote-wire.ts'

export interface RemoteRelayOptions {
  readonly home: WireHome
  readonly order: CarryOrder
  readonly nowMs: number
  readonly listener: CarryListener
}

export class RemoteRelay implements Relay {
  readonly id: number
  readonly #home: WireHome
  readonly #listener: CarryListener
  #order: CarryOrder | undefined
  #counters: RelayCounters
  #isIdle = false
  #isEnding = false
  #isClosing = false
  #isOver = false
  /** Waits for the worker's word that it has carried our order out. */
  #onDone: (() => void) | undefined

  constructor({ home, order, nowMs, listener }: RemoteRelayOptions) {
    this.id = order.wire
    this.#home = home
    this.#order = order
    this.#listener = listener
    this.#counters = { toServerBytes: 0, toClientBytes: 0, lastActivityMs: nowMs, isUnanswered: true }
  }

  /** The worker has the early bytes itself. */
  start(): void {
    if (this.#order !== undefined) this.#home.post(this.#order)
    this.#order = undefined
  }

  counters(): RelayCounters {
    return this.#counters
  }

  isIdle(): boolean {
    return this.#isIdle
  }

  holdWhenIdle(isOn: boolean): void {
    this.#home.post({ do: 'hold-when-idle', wire: this.id, isOn })
  }

  close(kind: CloseKind, lastWords?: Buffer, onDone?: () => void): void {
    if (this.#isClosing) {
      onDone?.()
      return
    }
    this.#isClosing = true
    this.#onDone = onDone
    const words = lastWords === undefined ? {} : { words: shared(lastWords) }
    this.#home.post({ do: 'close', wire: this.id, kind, ...words })
    this.#end('cut')
  }

  closeIfIdle(lastWords: Buffer): void {
    if (!this.#isClosing) this.#home.post({ do: 'close-if-idle', wire: this.id, words: shared(lastWords) })
  }

  moved(counters: RelayCounters, isIdle: boolean): void {
    this.#counters = counters
    this.#isIdle = isIdle
  }

  gotKey(key: string): void {
    this.#listener.onCancelKey(key)
  }

  gotRefusal(why: string): void {
    this.#listener.onServerRefused(why)
  }

  idled(why: IdleReason): void {
    if (!this.#isEnding) this.#listener.onIdle(why)
  }

  halfClosed(why: HalfClose): void {
    this.#listener.onHalfClosed(why)
  }

  /** The worker says so: it has ended by itself, or carried out our order. */
  ended(why: RelayEnd): void {
    this.#tellDone()
    this.#end(why)
  }

  #tellDone(): void {
    const tell = this.#onDone
    this.#onDone = undefined
    tell?.()
  }

  #end(why: RelayEnd): void {
    if (this.#isEnding) return
    this.#isEnding = true
    // For these the worker has said the last words itself.
    if (why === 'gate-closed' || why === 'refused' || why === 'cut') this.#isClosing = true
    this.#listener.onEnding(why)
  }

  over(counters: RelayCounters = this.#counters): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#tellDone()
    this.#counters = counters
    this.#listener.onRelayClosed()
  }
}

let latest: { readonly words: Buffer; readonly copy: Uint8Array } | undefined

/** Thousands that are cut together have the same words: a message carries an object that it has often only once. */
function shared(words: Buffer): Uint8Array {
  if (latest?.words !== words) latest = { words, copy: copied(words) }
  return latest.copy
}
