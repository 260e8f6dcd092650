// One session of the raw load, as its client has it.

import type { Dial, DialListener, Transport, Wire, WireListener } from '../../src/proxy/relay/wire.ts'
import { nowMs } from './monotonic.ts'
import { greeting, type RawMode, startup } from './protocol.ts'

export type Order =
  | { readonly kind: 'echo' | 'connects'; readonly clients: number; readonly seconds: number }
  | { readonly kind: 'down' | 'up'; readonly seconds: number }
  /** Opens so many sessions and leaves them open; `closed` then waits until all have ended. */
  | { readonly kind: 'open'; readonly clients: number }
  | { readonly kind: 'closed' }
  | { readonly kind: 'drop' }

export type Job = Order & { readonly host: string; readonly port: number }

export interface GuestListener {
  onGreeted(guest: Guest, sinceMs: number): void
  onDone(count: number, sinceMs?: number): void
  /** Told once, however many signs of its end there are. */
  onEnded(guest: Guest): void
  onFailed(error: Error): void
}

const MESSAGE = Buffer.alloc(100, 'q')
const BLOCK = Buffer.alloc(64 * 1024, 'x')

/** One session: greets, then does what its kind says until it is told to stop. */
export class Guest implements WireListener, DialListener {
  readonly #job: Job
  readonly #tell: GuestListener
  #wire: Wire | undefined
  readonly #dial: Dial
  #greeted = 0
  #pending = 0
  #sentAtMs = 0
  #hasEnded = false

  constructor(job: Job, transport: Pick<Transport, 'dial'>, tell: GuestListener) {
    this.#job = job
    this.#tell = tell
    this.#sentAtMs = nowMs()
    this.#dial = transport.dial(job, { keepAliveMs: 30_000 }, this)
  }

  onConnected(wire: Wire): void {
    this.#wire = wire
    wire.listener = this
    wire.start()
    wire.write(startup(modeOf(this.#job)))
  }

  onFailed(error: Error): void {
    this.#tell.onFailed(error)
  }

  onData(bytes: Buffer): void {
    let count = bytes.length
    if (this.#greeted < greeting.length) {
      const taken = Math.min(count, greeting.length - this.#greeted)
      this.#greeted += taken
      count -= taken
      if (this.#greeted < greeting.length) return
      this.#tell.onGreeted(this, this.#sentAtMs)
    }
    if (this.#job.kind === 'down') this.#tell.onDone(count)
    if (this.#job.kind !== 'echo') return
    this.#pending -= count
    if (this.#pending > 0 || count === 0) return
    this.#tell.onDone(1, this.#sentAtMs)
    this.ask()
  }

  onEnd(): void {
    this.#wire?.end()
    this.#end()
  }

  onTaken(): void {
    if (this.#job.kind === 'up') this.pour()
  }

  /** Also behind `onEnd`: a router that ends a session and then resets it lets our own end fail. */
  onBroken(): void {
    this.#end()
  }

  onClosed(): void {}

  ask(): void {
    this.#pending = MESSAGE.length
    this.#sentAtMs = nowMs()
    this.#wire?.write(MESSAGE)
  }

  pour(): void {
    const wire = this.#wire
    for (let count = 0; count < 16 && wire?.isDestroyed === false; count += 1) {
      this.#tell.onDone(BLOCK.length)
      if (!wire.write(BLOCK)) return
    }
    if (wire?.isDestroyed === false) setImmediate(() => this.pour())
  }

  end(): void {
    this.#wire?.end()
  }

  drop(): void {
    this.#dial.abort()
    this.#wire?.reset()
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#tell.onEnded(this)
  }
}

function modeOf({ kind }: Job): RawMode {
  return kind === 'down' || kind === 'up' ? kind : 'echo'
}
