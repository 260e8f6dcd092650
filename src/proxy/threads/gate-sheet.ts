// A gate in memory that threads share: one thread writes it, the others ask it before each piece of data. Neither waits for
// the other, so a writer that stands still cannot keep a reader from finding that the deadline has passed.

import type { Clock } from '../../platform/clock.ts'
import type { PauseWatch } from '../backend.ts'
import type { SessionGate } from '../carry.ts'
import { CUT_REASONS, type CutReason } from '../cut-reason.ts'

/** The deadline (8 bytes), 0 or the number of the reason plus 1, the length of the sentence, the sentence. */
const STATE_WORD = 2
const LENGTH_WORD = 3
const TEXT_AT = 16
const TEXT_BYTES = 240

type Closed = { readonly reason: CutReason; readonly says: string }

/** The writer's side. Times are the monotonic ones of the writer's clock. */
export class GateSheet {
  readonly memory = new SharedArrayBuffer(TEXT_AT + TEXT_BYTES)
  // A number of 8 bytes at an even address is written and read in one piece by every processor that Node runs on.
  readonly #untilMs = new Float64Array(this.memory, 0, 1)
  readonly #words = new Int32Array(this.memory, 0, TEXT_AT / 4)
  readonly #text = Buffer.from(this.memory, TEXT_AT, TEXT_BYTES)
  readonly #settle: () => void

  /** `settle` is called after each closing: it may wait a moment for readers that have just looked. */
  constructor(settle: () => void, untilMs: number, closed: Closed | undefined) {
    this.#settle = settle
    this.#untilMs[0] = untilMs
    if (closed !== undefined) this.close(closed.reason, closed.says)
  }

  setUntilMs(untilMs: number): void {
    this.#untilMs[0] = untilMs
  }

  /** For good. */
  close(reason: CutReason, says: string): void {
    this.#words[LENGTH_WORD] = this.#text.write(says)
    Atomics.store(this.#words, STATE_WORD, 1 + CUT_REASONS.indexOf(reason))
    this.#settle()
  }
}

export interface SharedGateOptions {
  /** Counts as the writer's clock does. */
  readonly clock: Clock
  readonly watch: PauseWatch
  readonly memory: SharedArrayBuffer
}

/** A reader's side. */
export class SharedGate implements SessionGate {
  readonly #clock: Clock
  readonly #watch: PauseWatch
  readonly #untilMs: Float64Array
  readonly #words: Int32Array
  readonly #text: Buffer
  #ownReason: Closed | undefined

  constructor({ clock, watch, memory }: SharedGateOptions) {
    this.#clock = clock
    this.#watch = watch
    this.#untilMs = new Float64Array(memory, 0, 1)
    this.#words = new Int32Array(memory, 0, TEXT_AT / 4)
    this.#text = Buffer.from(memory, TEXT_AT, TEXT_BYTES)
  }

  isOpen(nowMs: number = this.#clock.monotonicMs()): boolean {
    if (this.#ownReason !== undefined || Atomics.load(this.#words, STATE_WORD) !== 0) return false
    if (this.#untilMs[0] === Number.POSITIVE_INFINITY) return true
    this.#watch.check(nowMs)
    return this.#ownReason === undefined && nowMs < (this.#untilMs[0] ?? 0)
  }

  get closedBecause(): Closed | undefined {
    const state = Atomics.load(this.#words, STATE_WORD)
    const reason = CUT_REASONS[state - 1]
    if (reason === undefined) return this.#ownReason
    return { reason, says: this.#text.toString('utf8', 0, this.#words[LENGTH_WORD]) }
  }

  /** The host slept: what a deadline of the monotonic clock proved is void. For good; gates without one stay open. */
  closeAfterSleep(): void {
    if (this.#untilMs[0] === Number.POSITIVE_INFINITY) return
    this.#ownReason ??= { reason: 'evidence-expired', says: 'the host of the proxy slept' }
  }
}
