// Tells the agent of a leader that goes by plan when this proxy is ready for it: no new session goes there, and those that
// were on their way have got in, so that the agent sees them and waits for what they do.

import type { Clock, Timer } from '../platform/clock.ts'
import type { Announced } from './evidence-book.ts'
import { LOGIN_MS } from './logins.ts'
import type { Router } from './router.ts'

const LOOK_EVERY_MS = 25
/** An agent waits for us for half of the time that transactions get; a login may take half of that. */
const LOGIN_SHARE = 1 / 4

export interface TermEndOptions {
  readonly clock: Clock
  readonly router: Router
  /** The clients are held for this end. Told once for each word of an agent. */
  readonly onHeld: (end: Announced) => void
}

export class TermEnd {
  readonly #options: TermEndOptions
  #end: Announced | undefined
  #isTold = false
  #untilMs = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined

  constructor(options: TermEndOptions) {
    this.#options = options
  }

  /** After each decision of the router: by then no new session goes to a leader whose end is announced. */
  look(): void {
    const { clock, router, onHeld } = this.#options
    const end = router.announcedEnd()
    if (end?.revision !== this.#end?.revision) {
      this.#end = end
      this.#isTold = false
      this.#untilMs = clock.monotonicMs() + Math.min(LOGIN_MS, (end?.drainMs ?? Infinity) * LOGIN_SHARE)
    }
    if (end === undefined || this.#isTold) return
    this.#timer?.cancel()
    const leader = router.backends.get(router.leadership.epoch?.member ?? '')
    if (clock.monotonicMs() < this.#untilMs && leader?.logins.isAnyUnderWay() === true) {
      this.#timer = clock.setTimer(LOOK_EVERY_MS, () => this.look())
      return
    }
    this.#isTold = true
    onHeld(end)
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
