// Notices that the host was suspended: the monotonic clock stands still meanwhile, the time since boot does not.
// What was true before such a sleep may have ended in it, and no deadline on the monotonic clock can tell.

import { uptime } from 'node:os'
import type { Clock, Timer } from '../platform/clock.ts'
import type { PauseWatch } from './backend.ts'

/** A difference of the two clocks that no rounding explains. */
const JUMP_MS = 500
/**
 * How often the two clocks of the process are compared at most. On the clock that stands still in a suspend this is also
 * how long what was on its way may still pass after one.
 */
const LOOK_EVERY_MS = 1
/**
 * The kernel is asked for the time since boot so often at most, unless the wall clock has jumped: it gains a suspend in
 * the same step as the time since boot does, and asking for it costs a hundredth of the 25 microseconds.
 */
const ASK_EVERY_MS = 20
const TICK_MS = 200

export interface SuspendWatchOptions {
  readonly clock: Clock
  /** Time since boot, suspend included. */
  readonly bootMs?: () => number
  /** The host slept this long. */
  readonly onSuspended: (sleptMs: number) => void
}

export class SuspendWatch implements PauseWatch {
  readonly #options: SuspendWatchOptions
  readonly #bootMs: () => number
  #offsetMs: number
  #askedAtMs: number
  #lookedAtMs: number
  #wallOffsetMs: number
  #timer: Timer | undefined

  constructor(options: SuspendWatchOptions) {
    this.#options = options
    this.#bootMs = options.bootMs ?? (() => uptime() * 1000)
    this.#askedAtMs = options.clock.monotonicMs()
    this.#offsetMs = this.#bootMs() - this.#askedAtMs
    this.#lookedAtMs = this.#askedAtMs
    this.#wallOffsetMs = options.clock.wallMs() - this.#askedAtMs
  }

  /** Begins to look by itself, for proxies through which nothing moves. */
  start(): void {
    this.#timer = this.#options.clock.setTimer(TICK_MS, () => {
      this.check()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Compares the clocks, unless that was done a moment ago. */
  check(nowMs: number = this.#options.clock.monotonicMs()): void {
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return
    this.#lookedAtMs = nowMs
    const wallOffsetMs = this.#options.clock.wallMs() - nowMs
    const hasJumped = Math.abs(wallOffsetMs - this.#wallOffsetMs) > JUMP_MS
    this.#wallOffsetMs = wallOffsetMs
    if (hasJumped || nowMs - this.#askedAtMs >= ASK_EVERY_MS) this.#ask(nowMs)
  }

  #ask(nowMs: number): void {
    this.#askedAtMs = nowMs
    const offsetMs = this.#bootMs() - nowMs
    const sleptMs = offsetMs - this.#offsetMs
    // Small drifts (slewing of one clock) are taken over: they must not add up to a jump.
    this.#offsetMs = offsetMs
    if (sleptMs > JUMP_MS) this.#options.onSuspended(sleptMs)
  }
}
