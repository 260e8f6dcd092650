// Does the server still take new connections? A kept connection cannot tell: it lives on when the postmaster hangs.

import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { type Door, type PingAnswer, ping } from './ping.ts'

/** A server is knocked at this often at most. */
export const KNOCK_EVERY_MS = 2_500
const PATIENCE_MS = 2_000

export type Knock = (door: Door, user: string, by: Deadline) => Promise<PingAnswer>

/** Knocks beside the looks: nobody waits for an answer. */
export class Knocker {
  readonly #clock: Clock
  readonly #knock: Knock
  #pid: number | undefined
  #isKnocking = false
  #nextAtMs = Number.NEGATIVE_INFINITY
  /** When the first knock began that nobody answered since the last answer. */
  #silentSinceMs: number | undefined

  constructor(clock: Clock, knock: Knock = ping) {
    this.#clock = clock
    this.#knock = knock
  }

  /** How long knocks have been without any answer; 0 after an answer, be it a refusal. */
  get unansweredMs(): number {
    return this.#silentSinceMs === undefined ? 0 : this.#clock.monotonicMs() - this.#silentSinceMs
  }

  /** Knocks at the postmaster `pid` if that is due; returns at once. */
  begin(pid: number, door: Door, user: string): void {
    if (this.#pid !== pid) this.forget()
    this.#pid = pid
    const nowMs = this.#clock.monotonicMs()
    if (this.#isKnocking || nowMs < this.#nextAtMs) return
    this.#isKnocking = true
    this.#nextAtMs = nowMs + KNOCK_EVERY_MS
    void this.#knock(door, user, Deadline.in(this.#clock, PATIENCE_MS)).then(answer => {
      this.#isKnocking = false
      if (this.#pid !== pid) return
      if (answer === 'silent') this.#silentSinceMs ??= nowMs
      else this.#silentSinceMs = undefined
    })
  }

  /** Another server, or none: what was learnt does not count any more. */
  forget(): void {
    this.#pid = undefined
    this.#silentSinceMs = undefined
    this.#nextAtMs = Number.NEGATIVE_INFINITY
  }
}
