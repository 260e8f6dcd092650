// Lets so many pass in a second. The others wait for their turn in the order in which they came, a bounded number of them.

import type { Clock, Timer } from '../platform/clock.ts'
import { Rate } from './rate.ts'

export interface TurnstileOptions<T> {
  readonly clock: Clock
  readonly perSecond: number
  /** How many may wait now. */
  capacity(): number
  /** Has it gone away by itself? Then it takes no turn. */
  isGone(item: T): boolean
  onPass(item: T): void
}

export class Turnstile<T> {
  readonly #options: TurnstileOptions<T>
  readonly #rate: Rate
  #waiting: T[] = []
  #timer: Timer | undefined

  constructor(options: TurnstileOptions<T>) {
    this.#options = options
    this.#rate = new Rate(options.clock, options.perSecond)
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.length
  }

  /** Passes at once or waits; false when too many wait already. */
  take(item: T): boolean {
    if (this.#waiting.length === 0 && this.#rate.take()) {
      this.#options.onPass(item)
      return true
    }
    const capacity = this.#options.capacity()
    if (this.#waiting.length >= capacity) this.#forgetGone()
    if (this.#waiting.length >= capacity) return false
    this.#waiting.push(item)
    if (this.#timer === undefined) this.#arm()
    return true
  }

  /** Nobody passes any more. Returns who waited. */
  close(): readonly T[] {
    this.#timer?.cancel()
    this.#timer = undefined
    const left = this.#waiting
    this.#waiting = []
    return left
  }

  #forgetGone(): void {
    this.#waiting = this.#waiting.filter(item => !this.#options.isGone(item))
  }

  #arm(): void {
    const { clock } = this.#options
    this.#timer = clock.setTimer(Math.ceil(this.#rate.waitMs()), () => this.#passSome())
  }

  #passSome(): void {
    this.#timer = undefined
    this.#forgetGone()
    let count = 0
    while (count < this.#waiting.length && this.#rate.take()) count += 1
    const passing = this.#waiting.splice(0, count)
    if (this.#waiting.length > 0) this.#arm()
    for (const item of passing) this.#options.onPass(item)
  }
}
