// Clients beyond the rate of a port: they wait for their turn, so many as there is a place for. What they send meanwhile is read
// and kept, within a bound, so that one that hangs up is seen and takes neither a place nor a turn.

import type { Clock } from '../platform/clock.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import type { Wire, WireListener } from './relay/wire.ts'
import { EARLY_BYTES_MAX, readFirstPacket } from './startup.ts'
import { Turnstile } from './turnstile.ts'

/** As many as the kernel's queue has places. */
const WAITING_MAX = 4096
/** And so many seconds' worth of them: most clients wait for ten. */
const WAITING_SECONDS = 5
const NOTHING = Buffer.alloc(0)

export interface RateQueueOptions {
  readonly clock: Clock
  readonly perSecond: number
  readonly acceptsProxy: boolean
  /** Each of them has a descriptor already: how many more of those may there be? */
  capacity(): number
  /** Must become the listener of the wire within this step, or destroy it; gets what it has sent by then. */
  onTurn(client: Wire): void
}

export class RateQueue {
  readonly #options: RateQueueOptions
  readonly #turnstile: Turnstile<WaitingClient>

  constructor(options: RateQueueOptions) {
    const { clock, perSecond, onTurn } = options
    this.#options = options
    this.#turnstile = new Turnstile({ clock, perSecond, onPass: client => client.passTo(onTurn) })
  }

  /** Its turn comes at once, or later; false when too many wait already. */
  take(client: Wire): boolean {
    const { perSecond, acceptsProxy, capacity, onTurn } = this.#options
    if (this.#turnstile.pass()) {
      onTurn(client)
      return true
    }
    const places = Math.min(capacity(), WAITING_MAX, Math.ceil(perSecond * WAITING_SECONDS))
    if (this.#turnstile.size >= places) return false
    this.#turnstile.wait(new WaitingClient(client, acceptsProxy, gone => this.#turnstile.leave(gone)))
    return true
  }

  /** No more turns: all who wait go to `take` now. */
  close(take: (client: Wire) => void): void {
    for (const client of this.#turnstile.close()) client.passTo(take)
  }
}

class WaitingClient implements WireListener {
  readonly #wire: Wire
  readonly #expectsHeader: boolean
  readonly #onGone: (client: WaitingClient) => void
  #bytes: Buffer = NOTHING
  #isWaiting = true

  constructor(wire: Wire, expectsHeader: boolean, onGone: (client: WaitingClient) => void) {
    this.#wire = wire
    this.#expectsHeader = expectsHeader
    this.#onGone = onGone
    wire.listener = this
    wire.start()
  }

  passTo(take: (client: Wire) => void): void {
    this.#isWaiting = false
    take(this.#wire)
    if (this.#bytes.length > 0 && !this.#wire.isDestroyed) this.#wire.listener.onData(this.#bytes)
  }

  onData(bytes: Buffer): void {
    // Nobody has that much to say before it is answered, and thousands may wait.
    if (this.#bytes.length + bytes.length > EARLY_BYTES_MAX) this.#leave()
    else this.#bytes = Buffer.concat([this.#bytes, bytes])
  }

  /** Who sends a cancel request may close right behind it. */
  onEnd(): void {
    if (!this.#isCancelRequest()) this.#leave()
  }

  onTaken(): void {}

  onBroken(): void {
    this.#leave()
  }

  onClosed(): void {
    this.#leave()
  }

  #isCancelRequest(): boolean {
    const header = this.#expectsHeader ? readProxyHeader(this.#bytes) : { kind: 'header', bytes: 0 }
    if (header?.kind !== 'header') return false
    return readFirstPacket(this.#bytes.subarray(header.bytes))?.kind === 'cancel'
  }

  #leave(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.#wire.destroy()
    this.#onGone(this)
  }
}
