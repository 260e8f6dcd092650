// A point on the monotonic clock by which something must be over. Taken before a request leaves.

import type { Clock } from './clock.ts'

/** An instant on one Clock's monotonic scale. Immutable; carries its clock so that nobody mixes scales. */
export class Deadline {
  readonly atMs: number
  readonly #clock: Clock

  constructor(clock: Clock, atMs: number) {
    this.#clock = clock
    this.atMs = atMs
  }

  /** The deadline `durationMs` from now. */
  static in(clock: Clock, durationMs: number): Deadline {
    return new Deadline(clock, clock.monotonicMs() + durationMs)
  }

  /** Milliseconds left, never below zero. */
  remainingMs(): number {
    return Math.max(0, this.atMs - this.#clock.monotonicMs())
  }

  isOver(): boolean {
    return this.#clock.monotonicMs() >= this.atMs
  }

  /** The earlier of this deadline and `durationMs` from now. */
  within(durationMs: number): Deadline {
    return new Deadline(this.#clock, Math.min(this.atMs, this.#clock.monotonicMs() + durationMs))
  }

  /**
   * Runs `work` with a signal that aborts at this deadline (reason: DeadlineError naming `what`) or when `signal`
   * aborts. The timer is gone when the promise settles; a `work` that ignores the signal is abandoned, not awaited.
   */
  async run<T>(what: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const controller = new AbortController()
    const timer = this.#clock.setTimer(this.remainingMs(), () => controller.abort(new DeadlineError(what)))
    const onOuterAbort = () => controller.abort(signal?.reason)
    if (signal?.aborted === true) onOuterAbort()
    signal?.addEventListener('abort', onOuterAbort, { once: true })
    try {
      return await raceAbort(work(controller.signal), controller.signal)
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onOuterAbort)
    }
  }
}

/** Thrown when a deadline passed before the work was done. Whether the work took effect is not known. */
export class DeadlineError extends Error {
  readonly code = 'E_DEADLINE'

  constructor(what: string) {
    super(`${what} did not finish before its deadline`)
    this.name = 'DeadlineError'
  }
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
