// In the control thread: a wire that a worker holds. Good for what a session says and hears before its relay begins.

import type { Endpoints } from '../proxy-protocol.ts'
import { nobody, type Wire, type WireListener } from '../relay/wire.ts'
import { copied, type Order } from './messages.ts'

export interface WireHome {
  post(order: Order): void
}

export class RemoteWire implements Wire {
  readonly id: number
  readonly home: WireHome
  listener: WireListener = nobody
  isDestroyed = false
  /** What is written here is with the worker, which is all that anybody needs to know of a few short words. */
  readonly isPending = false
  /** What its listener has got. */
  deliveredBytes = 0
  readonly #endpoints: Endpoints
  #isReading = false
  #hasEnded = false
  #isDraining = false
  /** What came while nobody read: the worker reads on by itself, to a bound. */
  #waiting: (() => void)[] = []

  constructor(id: number, home: WireHome, endpoints: Endpoints) {
    this.id = id
    this.home = home
    this.#endpoints = endpoints
  }

  endpoints(): Endpoints {
    return this.#endpoints
  }

  start(): void {
    if (this.isDestroyed) return
    this.#isReading = true
    if (this.#hasEnded) this.#drain()
    else if (this.#waiting.length > 0) process.nextTick(() => this.#deliver())
  }

  stop(): void {
    this.#isReading = false
  }

  write(bytes: Buffer): boolean {
    if (!this.isDestroyed && !this.#hasEnded)
      this.home.post({ do: 'write', wire: this.id, bytes: copied(bytes) })
    return true
  }

  end(): void {
    if (this.#hasEnded || this.isDestroyed) return
    this.#hasEnded = true
    this.home.post({ do: 'end', wire: this.id })
  }

  destroy(): void {
    this.#leave('destroy')
  }

  reset(): void {
    this.#leave('reset')
  }

  /** The worker has read this. */
  got(bytes: Buffer): void {
    this.#tell(() => {
      this.deliveredBytes += bytes.length
      this.listener.onData(bytes)
    })
  }

  gotEnd(): void {
    this.#tell(() => this.listener.onEnd())
  }

  broke(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.listener.onBroken()
  }

  closed(): void {
    this.isDestroyed = true
    this.listener.onClosed()
  }

  #tell(what: () => void): void {
    if (this.isDestroyed || this.#isDraining) return
    if (this.#isReading && this.#waiting.length === 0) what()
    else this.#waiting.push(what)
  }

  #deliver(): void {
    while (this.#isReading && !this.isDestroyed) {
      const what = this.#waiting.shift()
      if (what === undefined) return
      what()
    }
  }

  /** We have said our last: whatever comes now is dropped, and the worker can do that alone. */
  #drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#waiting = []
    this.home.post({ do: 'drain', wire: this.id })
  }

  #leave(how: 'destroy' | 'reset'): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.#waiting = []
    this.home.post({ do: how, wire: this.id })
  }
}
