// Notices that the host was suspended: the monotonic clock stands still meanwhile, the time since boot does not.
// What was true before such a sleep may have ended in it, and no deadline on the monotonic clock can tell.

import { uptime } from 'node:os'
import type { Clock, Timer } from '../platform/clock.ts'
import type { PauseWatch } from './backend.ts'

/** A difference of the two clocks that no rounding explains. */
const JUMP_MS = 500
/**
 * The kernel is asked so often at most: a question costs ten microseconds. On the clock that stands still in a suspend this is
 * also how long what was on its way may still pass after one.
 */
const ASK_EVERY_MS = 1
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
  #timer: Timer | undefined

  constructor(options: SuspendWatchOptions) {
    this.#options = options
    this.#bootMs = options.bootMs ?? (() => uptime() * 1000)
    this.#askedAtMs = options.clock.monotonicMs()
    this.#offsetMs = this.#bootMs() - this.#askedAtMs
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
    if (nowMs - this.#askedAtMs < ASK_EVERY_MS) return
    this.#askedAtMs = nowMs
    const offsetMs = this.#bootMs() - nowMs
    const sleptMs = offsetMs - this.#offsetMs
    // Small drifts (slewing of one clock) are taken over: they must not add up to a jump.
    this.#offsetMs = offsetMs
    if (sleptMs > JUMP_MS) this.#options.onSuspended(sleptMs)
  }
}
