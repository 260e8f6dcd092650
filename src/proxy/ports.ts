// The ports of listeners that listen only while they have a server (`then: stop-listening`): for clients with several hosts a
// refused connection is the best answer of a proxy that has none.

import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Listener } from './listener.ts'

export class Ports {
  readonly #log: Logger
  readonly #stopping: AbortSignal
  /** Their ports are being opened. */
  readonly #opening = new Set<Listener>()
  /** What was told last of ports that cannot be had. */
  readonly #told = new WeakMap<Listener, string>()

  constructor(log: Logger, stopping: AbortSignal) {
    this.#log = log
    this.#stopping = stopping
  }

  /** After anything has changed. A port that could not be had is tried again. */
  openOrClose(listener: Listener): void {
    if (this.#stopping.aborted || this.#opening.has(listener)) return
    if (!listener.hasServer) listener.stopListening()
    else if (!listener.isListeningEverywhere) void this.#open(listener)
  }

  /** With threads it takes some rounds of the loop. */
  async #open(listener: Listener): Promise<void> {
    this.#opening.add(listener)
    try {
      await listener.listen()
      this.#told.delete(listener)
    } catch (error) {
      this.#tell(listener, messageOf(error))
      return
    } finally {
      this.#opening.delete(listener)
    }
    // What was decided meanwhile.
    this.openOrClose(listener)
  }

  #tell(listener: Listener, says: string): void {
    if (this.#told.get(listener) === says) return
    this.#told.set(listener, says)
    this.#log.warning(says, { event: 'listen' })
  }
}
