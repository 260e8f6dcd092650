// Lets so many pass in a second. The others wait for their turn in the order in which they came.

import type { Clock, Timer } from '../platform/clock.ts'
import { Rate } from './rate.ts'

export interface TurnstileOptions<T> {
  readonly clock: Clock
  readonly perSecond: number
  onPass(item: T): void
}

export class Turnstile<T> {
  readonly #options: TurnstileOptions<T>
  readonly #rate: Rate
  readonly #waiting = new Set<T>()
  #timer: Timer | undefined

  constructor(options: TurnstileOptions<T>) {
    this.#options = options
    this.#rate = new Rate(options.clock, options.perSecond)
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** May somebody who comes now pass at once? He has taken his turn then. Nobody overtakes those who wait. */
  pass(): boolean {
    return this.#waiting.size === 0 && this.#rate.take()
  }

  /** Waits for its turn, behind all others. How many may wait is the caller's to see to. */
  wait(item: T): void {
    this.#waiting.add(item)
    if (this.#timer === undefined) this.#arm()
  }

  /** Waits no more, and takes no turn. */
  leave(item: T): void {
    this.#waiting.delete(item)
    if (this.#waiting.size === 0) this.#disarm()
  }

  /** Nobody passes any more. Returns who waited. */
  close(): readonly T[] {
    this.#disarm()
    const left = [...this.#waiting]
    this.#waiting.clear()
    return left
  }

  #arm(): void {
    const { clock } = this.#options
    this.#timer = clock.setTimer(Math.ceil(this.#rate.waitMs()), () => this.#passSome())
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #passSome(): void {
    this.#timer = undefined
    const passing: T[] = []
    for (const item of this.#waiting) {
      if (!this.#rate.take()) break
      passing.push(item)
    }
    for (const item of passing) this.#waiting.delete(item)
    if (this.#waiting.size > 0) this.#arm()
    for (const item of passing) this.#options.onPass(item)
  }
}
