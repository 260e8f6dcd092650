// In a worker: ends of sessions that come by thousands, and must not keep its other sessions from their turn. It decides
// nothing about them: who waits here has stopped passing bytes already.

import type { Clock } from '../../platform/clock.ts'
import { inSlices } from '../slices.ts'

export class EndingQueue {
  readonly #clock: Clock
  #waiting: (() => void)[] = []
  /** Of those whose slices are under way. */
  #left = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** It is run behind all that were put in before, after `begin`. */
  add(run: () => void): void {
    this.#waiting.push(run)
  }

  /**
   * Runs the first slice before it returns, and each further one in a round of the loop of its own. While slices are under
   * way it does nothing: whoever was put in meanwhile follows them, so that one round never has two slices.
   */
  begin(): void {
    if (this.#left > 0 || this.#waiting.length === 0) return
    const items = this.#waiting
    this.#waiting = []
    this.#left = items.length
    inSlices(this.#clock, items, run => {
      this.#left -= 1
      run()
      if (this.#left === 0 && this.#waiting.length > 0) setImmediate(() => this.begin())
    })
  }
}
