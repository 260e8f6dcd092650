// Sessions that their server may not show to others yet: they are connecting or log in. A planned stop must not meet them there.

import type { Clock } from '../platform/clock.ts'

/** Nobody waits longer for a login. */
export const LOGIN_MS = 500
/** An encrypted session does not show when its login is over: so long after its first packet it has probably got in. */
export const HIDDEN_LOGIN_MS = 300

export class Logins<T> {
  readonly #clock: Clock
  /** Until when it is waited for. Nothing is left of those that have been in for long. */
  readonly #untilMs = new Map<T, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It connects, or its first packet goes to its server. */
  begin(session: T, isHidden = false): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [other, untilMs] of this.#untilMs) {
      if (untilMs > nowMs) break
      this.#untilMs.delete(other)
    }
    // Anew, so that the oldest stand first.
    this.#untilMs.delete(session)
    this.#untilMs.set(session, nowMs + (isHidden ? HIDDEN_LOGIN_MS : LOGIN_MS))
  }

  /** It is in, or gone. */
  end(session: T): void {
    this.#untilMs.delete(session)
  }

  /** Is anybody still to be waited for? */
  isAnyUnderWay(): boolean {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#untilMs.values()].some(untilMs => untilMs > nowMs)
  }
}
