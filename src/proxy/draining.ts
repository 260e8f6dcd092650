// Sessions that only say farewell. There may be many for a moment, when thousands are cut together: the oldest of too many
// end without it, but never in front of the words to those that are cut after them.

import type { Clock } from '../platform/clock.ts'
import { inSlices } from './slices.ts'

/** When there are more, the oldest end at once. */
export const DRAINING_MAX = 1000
/**
 * Behind the last words: who hears them closes by itself, and its close is read before anybody is ended without. An end in front of
 * what a client still sends is a reset, which may take the words with it.
 */
export const HEARD_WITHIN_MS = 250
/** Whoever comes and comes cannot put it off any longer: rounds of the loop. */
const ROUNDS_MAX = 50

export interface Drains {
  /** Ends it without ceremony. */
  destroy(): void
}

export class Draining<T extends Drains> {
  readonly #clock: Clock
  readonly #sessions = new Set<T>()
  /** How many there were in the round before; undefined: nobody looks. */
  #lastSize: number | undefined
  #rounds = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#sessions.size
  }

  add(session: T): void {
    this.#sessions.add(session)
    if (this.#sessions.size <= DRAINING_MAX || this.#lastSize !== undefined) return
    this.#awaitLast(() =>
      this.#clock.setTimer(HEARD_WITHIN_MS, () => this.#awaitLast(() => this.#endOldest())),
    )
  }

  delete(session: T): void {
    this.#sessions.delete(session)
  }

  /** Calls `then` when no more come: while more come in each round a cut is under way. */
  #awaitLast(then: () => void): void {
    this.#lastSize = 0
    this.#rounds = 0
    setImmediate(() => this.#look(then))
  }

  #look(then: () => void): void {
    this.#rounds += 1
    const { size } = this.#sessions
    if (size > (this.#lastSize ?? 0) && this.#rounds < ROUNDS_MAX) {
      this.#lastSize = size
      setImmediate(() => this.#look(then))
      return
    }
    then()
  }

  #endOldest(): void {
    this.#lastSize = undefined
    const { size } = this.#sessions
    if (size <= DRAINING_MAX) return
    // They leave the set when they are gone: until then they take no place of their listener.
    const oldest = [...this.#sessions].slice(0, size - DRAINING_MAX)
    inSlices(this.#clock, oldest, session => session.destroy())
  }
}
