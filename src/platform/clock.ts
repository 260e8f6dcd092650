// The only source of time. Decisions use `monotonicMs`; `wallMs` is for display alone.
// Everything that waits takes a Clock, so that a test can hold it.

import { performance } from 'node:perf_hooks'

/** The longest delay a timer accepts: more would fire at once (setTimeout overflows at 2^31). */
export const TIMER_MAX_MS = 2 ** 31 - 1

/** A timer that can be taken back; `cancel` after it fired does nothing. */
export interface Timer {
  cancel(): void
}

/** Time as the program sees it. `monotonicMs` never goes back and ignores changes of the wall clock. */
export interface Clock {
  monotonicMs(): number
  wallMs(): number
  /** Calls `run` once after `delayMs` (clamped to 0..TIMER_MAX_MS). */
  setTimer(delayMs: number, run: () => void): Timer
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

/** Keeps a delay within what a timer can hold. */
export function clampDelayMs(delayMs: number): number {
  return Math.min(Math.max(delayMs, 0), TIMER_MAX_MS)
}

/** `sleep` in terms of `setTimer`, shared by every Clock. */
export function sleepWith(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const onAbort = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

class RealClock implements Clock {
  monotonicMs(): number {
    return performance.now()
  }

  wallMs(): number {
    return Date.now()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const handle = setTimeout(run, clampDelayMs(delayMs))
    return { cancel: () => clearTimeout(handle) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this, delayMs, signal)
  }
}

/**
 * Where this thread's monotonic clock has its zero, on the machine's own that all threads and processes share (hrtime).
 * Exact to some microseconds.
 */
export function monotonicZeroMs(): number {
  let [best, width] = [0, Number.POSITIVE_INFINITY]
  for (let count = 0; count < 5; count += 1) {
    const beforeMs = performance.now()
    const machineMs = Number(process.hrtime.bigint()) / 1e6
    const afterMs = performance.now()
    if (afterMs - beforeMs >= width) continue
    width = afterMs - beforeMs
    best = machineMs - (beforeMs + afterMs) / 2
  }
  return best
}

/** In a thread whose times must compare with another's: counts from that one's zero. */
export class ThreadClock implements Clock {
  readonly #aheadMs: number

  constructor(zeroMs: number) {
    this.#aheadMs = monotonicZeroMs() - zeroMs
  }

  monotonicMs(): number {
    return performance.now() + this.#aheadMs
  }

  wallMs(): number {
    return Date.now()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return realClock.setTimer(delayMs, run)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this, delayMs, signal)
  }
}

/** The machine's clocks. Built only in `commands/` and in tests. */
export const realClock: Clock = new RealClock()
