// Closes a client's connection so that it can read our last words: FIN, never a reset while bytes are unread.

import type { Clock, Timer } from '../platform/clock.ts'
import type { ClosedListener, Wire, WireListener } from './relay/wire.ts'

/** How long a client may take to read the last words and close. */
export const LINGER_MS = 1000

export interface FarewellOptions {
  readonly clock: Clock
  readonly wire: Wire
  readonly lastWords?: Buffer | undefined
  readonly lingerMs?: number
  /** Told when the connection is gone. */
  readonly next: ClosedListener
}

/**
 * Sends `lastWords` and FIN, then reads and drops what the client still sends (unread bytes would turn our close into
 * a reset, which may destroy the words on their way), until it closes too or `lingerMs` have passed.
 */
export function sayFarewell(options: FarewellOptions): void {
  const { wire, lastWords } = options
  // Its end is told to whoever holds it.
  if (wire.isDestroyed) return
  wire.listener = new Farewell(options)
  if (lastWords !== undefined) wire.write(lastWords)
  wire.end()
  wire.start()
}

class Farewell implements WireListener {
  readonly #timer: Timer
  readonly #next: ClosedListener

  constructor({ clock, wire, lingerMs = LINGER_MS, next }: FarewellOptions) {
    this.#next = next
    this.#timer = clock.setTimer(lingerMs, () => wire.destroy())
  }

  onData(): void {}

  onEnd(): void {}

  onTaken(): void {}

  onBroken(): void {}

  onClosed(): void {
    this.#timer.cancel()
    this.#next.onClosed()
  }
}
