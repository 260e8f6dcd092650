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

/** The machine's clocks. Built only in `commands/` and in tests. */
export const realClock: Clock = new RealClock()
