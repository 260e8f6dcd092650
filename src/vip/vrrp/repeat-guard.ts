// Lets a line through once in a while, so that what repeats with every packet does not fill the log.

import type { Clock } from '../../platform/clock.ts'

const KINDS_MAX = 1_000

export class RepeatGuard {
  readonly #clock: Clock
  readonly #everyMs: number
  readonly #toldAtMs = new Map<string, number>()

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock
    this.#everyMs = everyMs
  }

  /** True for the first of its kind, and again after the interval. */
  mayTell(kind: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const lastMs = this.#toldAtMs.get(kind)
    if (lastMs !== undefined && nowMs - lastMs < this.#everyMs) return false
    // Kinds have addresses of strangers in them: a flood of those must not grow without end.
    if (this.#toldAtMs.size >= KINDS_MAX) this.#toldAtMs.clear()
    this.#toldAtMs.set(kind, nowMs)
    return true
  }
}
