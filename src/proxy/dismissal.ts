// Closes clients that nobody wants and that get no word: gently as long as they are few.

import type { Socket } from 'node:net'
import type { Clock } from '../platform/clock.ts'
import { sayFarewell } from './farewell.ts'

/** So many may take their time to close; of a flood the others are closed at once. */
export const DISMISSED_MAX = 100

export class Dismissal {
  readonly #clock: Clock
  #leaving = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the connection. There are no words of ours in it that a reset could destroy. */
  dismiss(client: Socket): void {
    client.on('error', () => {})
    if (this.#leaving >= DISMISSED_MAX) {
      client.destroy()
      return
    }
    this.#leaving += 1
    client.once('close', () => {
      this.#leaving -= 1
    })
    sayFarewell(this.#clock, client, undefined)
  }
}
