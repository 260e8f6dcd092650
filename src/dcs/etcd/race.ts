// Several members asked for the same, one after the other, without giving up the earlier ones: a slow answer still counts
// when it comes. Only for requests that may be repeated.

import type { Clock, Timer } from '../../platform/clock.ts'

/** Why a request that is under way is given up: another one has been answered. */
export class Overtaken extends Error {
  constructor() {
    super('another member answered first')
    this.name = 'Overtaken'
  }
}

/** Requests under way and results that nobody has taken yet. */
export class Race<T> {
  readonly #clock: Clock
  readonly #ended = new AbortController()
  readonly #results: T[] = []
  #running = 0
  #wake: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Requests that have no result yet. */
  get running(): number {
    return this.#running
  }

  /** Starts a request; `ask` must not reject, and must end when its signal aborts. */
  start(ask: (signal: AbortSignal) => Promise<T>): void {
    this.#running += 1
    void ask(this.#ended.signal).then(result => {
      this.#running -= 1
      this.#results.push(result)
      this.#wake()
    })
  }

  /** The next result; undefined when none comes within the time, or at once when none can come and `isPause` is not set. */
  async next(withinMs: number, isPause = false): Promise<T | undefined> {
    if (this.#results.length === 0 && (isPause || this.#running > 0)) await this.#wait(withinMs)
    return this.#results.shift()
  }

  /** Gives up what is under way. */
  end(): void {
    this.#ended.abort(new Overtaken())
  }

  #wait(withinMs: number): Promise<void> {
    return new Promise(resolve => {
      let timer: Timer | undefined
      this.#wake = () => {
        timer?.cancel()
        this.#wake = () => {}
        resolve()
      }
      timer = this.#clock.setTimer(withinMs, () => this.#wake())
    })
  }
}
