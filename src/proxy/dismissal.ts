// Closes clients that nobody wants and that get no word: gently as long as they are few.

import type { Clock } from '../platform/clock.ts'
import { sayFarewell } from './farewell.ts'
import type { Wire } from './relay/wire.ts'

/** So many may take their time to close; of a flood the others are closed at once. */
export const DISMISSED_MAX = 100

export class Dismissal {
  readonly #clock: Clock
  #leaving = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the connection. There are no words of ours in it that a reset could destroy. */
  dismiss(client: Wire): void {
    if (client.isDestroyed) return
    if (this.#leaving >= DISMISSED_MAX) {
      client.destroy()
      return
    }
    this.#leaving += 1
    const next = {
      onClosed: () => {
        this.#leaving -= 1
      },
    }
    sayFarewell({ clock: this.#clock, wire: client, next })
  }
}
