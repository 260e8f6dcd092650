// One timer of the runtime for thousands of long ones that nearly never fire: what each session waits for at most. Their
// start and end touch a list alone.

import { type Clock, clampDelayMs, sleepWith, type Timer } from './clock.ts'

/** A long timer fires up to so much later than asked for, never sooner. */
export const TICK_MS = 100
/** What is shorter may stand in somebody's way, and is exact. */
const LONG_FROM_MS = 1_000
/** One turn of the wheel is 25.6 s; what lasts longer is passed over once in a turn. */
const SLOTS = 256

/** The time of another clock, with timers of a second and more on a wheel. */
export class WheelClock implements Clock {
  readonly #clock: Clock
  readonly #slots: (Entry | undefined)[] = new Array(SLOTS).fill(undefined)
  #size = 0
  #doneTick = 0
  #isTicking = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Long timers that wait. */
  get size(): number {
    return this.#size
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    if (delayMs < LONG_FROM_MS) return this.#clock.setTimer(delayMs, run)
    const nowMs = this.#clock.monotonicMs()
    // While nothing waited nothing was looked at.
    if (this.#size === 0) this.#doneTick = Math.floor(nowMs / TICK_MS)
    const dueTick = Math.ceil((nowMs + clampDelayMs(delayMs)) / TICK_MS)
    const entry = new Entry(this, dueTick, run)
    this.#link(entry)
    this.#tickLater()
    return entry
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this.#clock, delayMs, signal)
  }

  /** For entries: takes one that waits out of its list. */
  unlink(entry: Entry): void {
    const { before, after } = entry
    if (before === undefined) this.#slots[entry.dueTick % SLOTS] = after
    else before.after = after
    if (after !== undefined) after.before = before
    entry.before = undefined
    entry.after = undefined
    this.#size -= 1
  }

  #link(entry: Entry): void {
    const slot = entry.dueTick % SLOTS
    const first = this.#slots[slot]
    entry.after = first
    if (first !== undefined) first.before = entry
    this.#slots[slot] = entry
    this.#size += 1
  }

  #tickLater(): void {
    if (this.#isTicking || this.#size === 0) return
    this.#isTicking = true
    const nextMs = (this.#doneTick + 1) * TICK_MS - this.#clock.monotonicMs()
    this.#clock.setTimer(Math.max(1, nextMs), () => this.#tick())
  }

  /** Everything that is due, also after a long sleep of the process: each slot is looked at once. */
  #tick(): void {
    this.#isTicking = false
    const nowTick = Math.floor(this.#clock.monotonicMs() / TICK_MS)
    const due: Entry[] = []
    for (let tick = Math.max(this.#doneTick, nowTick - SLOTS) + 1; tick <= nowTick; tick += 1) {
      for (let entry = this.#slots[tick % SLOTS]; entry !== undefined; entry = entry.after)
        if (entry.dueTick <= nowTick) due.push(entry)
    }
    this.#doneTick = Math.max(this.#doneTick, nowTick)
    due.sort((one, other) => one.dueTick - other.dueTick)
    try {
      // One may take another back that is due as well.
      for (const entry of due) entry.fire()
    } finally {
      this.#tickLater()
    }
  }
}

class Entry implements Timer {
  readonly dueTick: number
  before: Entry | undefined
  after: Entry | undefined
  #wheel: WheelClock | undefined
  readonly #run: () => void

  constructor(wheel: WheelClock, dueTick: number, run: () => void) {
    this.#wheel = wheel
    this.dueTick = dueTick
    this.#run = run
  }

  cancel(): void {
    const wheel = this.#wheel
    this.#wheel = undefined
    wheel?.unlink(this)
  }

  fire(): void {
    if (this.#wheel === undefined) return
    this.cancel()
    this.#run()
  }
}
