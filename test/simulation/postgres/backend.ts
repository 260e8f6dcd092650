// One client's server process. It can outlive its postmaster while it is busy, and acknowledge a commit as an orphan.

import type { ClientWrite } from './data-directory.ts'
import type { SimServer } from './server.ts'

/** What became of a statement. */
export type WriteResult = 'acknowledged' | 'read-only'

export class Backend {
  readonly server: SimServer
  /** Told to the client in the handshake (`in_hot_standby`). */
  readonly isStandby: boolean
  readonly #onEnded: () => void
  #isAlive = true
  #statements = 0

  constructor(server: SimServer, onEnded: () => void) {
    this.server = server
    this.isStandby = server.role === 'replica'
    this.#onEnded = onEnded
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isBusy(): boolean {
    return this.#statements > 0
  }

  /** Runs a statement of `busyMs` that commits `write`. `answer` is not called when the backend ends before. */
  write(write: ClientWrite, busyMs: number, answer: (result: WriteResult) => void): void {
    if (!this.#isAlive) return
    this.#statements += 1
    this.server.process.later(busyMs, () => {
      if (!this.#isAlive) return
      const isTaken = this.server.commit(write, () => this.#finish(() => answer('acknowledged')))
      if (!isTaken) this.#finish(() => answer('read-only'))
    })
  }

  /** Its process is gone: whatever it was doing gets no answer. */
  end(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.server.backends.delete(this)
    this.#onEnded()
  }

  /** An orphan whose statement is over finds its postmaster dead and goes. */
  #finish(answer: () => void): void {
    if (!this.#isAlive) return
    this.#statements -= 1
    answer()
    if (this.server.state === 'stopped') this.end()
  }
}
