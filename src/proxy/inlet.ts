// A client's first bytes, from accept until a relay takes over: finds the first packet, notices a client that hangs up,
// keeps what came early, within a bound.

import { type Endpoints, readProxyHeader } from './proxy-protocol.ts'
import type { ClosedListener, Wire, WireListener } from './relay/wire.ts'
import { FIRST_PACKET_BYTES_MAX, type FirstPacket, readFirstPacket } from './startup.ts'

export interface InletListener extends ClosedListener {
  /** The first packet is complete. Told once. */
  onPacket(packet: FirstPacket): void
  /** The client closed or vanished before a relay took over. Told once. */
  onGone(): void
  /** The PROXY header in front of everything, if one is expected. Told once, before `onPacket`; false: no such client. */
  onHeader?(endpoints: Endpoints | undefined): boolean
  /** There should have been a PROXY header. Told once, and nothing after it. */
  onNoHeader?(why: string): void
}

const NOTHING = Buffer.alloc(0)

export class Inlet implements WireListener {
  readonly #wire: Wire
  readonly #listener: InletListener
  #bytes: Buffer = NOTHING
  #packet: FirstPacket | undefined
  #isReleased = false
  #isHeaderDue: boolean

  /** Takes the wire and begins to read. */
  constructor(wire: Wire, listener: InletListener, expectsHeader = false) {
    this.#wire = wire
    this.#listener = listener
    this.#isHeaderDue = expectsHeader
    wire.listener = this
    wire.start()
  }

  /** Stops listening and returns all bytes so far; the wire is stopped, so nothing is lost in between. */
  release(): Buffer {
    this.#wire.stop()
    return this.handOver()
  }

  /** The same for whoever becomes the wire's listener within this step: the wire reads on, which spares the kernel two calls. */
  handOver(): Buffer {
    this.#isReleased = true
    return this.#bytes
  }

  onData(bytes: Buffer): void {
    if (this.#isReleased) return
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#bytes, bytes])
    if (this.#isHeaderDue && !this.#takeHeader()) return
    if (this.#packet === undefined) {
      this.#packet = readFirstPacket(this.#bytes)
      if (this.#packet !== undefined) this.#listener.onPacket(this.#packet)
    }
    if (!this.#isReleased && this.#bytes.length > FIRST_PACKET_BYTES_MAX) this.#wire.stop()
  }

  onEnd(): void {
    this.#gone()
  }

  onTaken(): void {}

  onBroken(): void {
    this.#gone()
  }

  onClosed(): void {
    this.#gone()
    this.#listener.onClosed()
  }

  /** Takes the PROXY header off; false while it is not whole, or when the client is not wanted. */
  #takeHeader(): boolean {
    const header = readProxyHeader(this.#bytes)
    if (header === undefined) return false
    if (header.kind === 'wrong') {
      this.release()
      this.#listener.onNoHeader?.(header.why)
      return false
    }
    this.#isHeaderDue = false
    this.#bytes = this.#bytes.subarray(header.bytes)
    return this.#listener.onHeader?.(header.endpoints) !== false && !this.#isReleased
  }

  #gone(): void {
    if (this.#isReleased) return
    this.release()
    this.#listener.onGone()
  }
}
