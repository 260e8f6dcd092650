// A client's first bytes, from accept until a relay takes over: finds the first packet, notices a client that hangs up,
// keeps what came early, within a bound.

import type { Socket } from 'node:net'
import { type Endpoints, readProxyHeader } from './proxy-protocol.ts'
import { FIRST_PACKET_BYTES_MAX, type FirstPacket, readFirstPacket } from './startup.ts'

export interface InletListener {
  /** The first packet is complete. Told once. */
  onPacket(packet: FirstPacket): void
  /** The client closed or vanished before a relay took over. Told once. */
  onGone(): void
  /** The PROXY header in front of everything, if one is expected. Told once, before `onPacket`; false: no such client. */
  onHeader?(endpoints: Endpoints | undefined): boolean
  /** There should have been a PROXY header. Told once, and nothing after it. */
  onNoHeader?(why: string): void
}

export class Inlet {
  readonly #socket: Socket
  readonly #listener: InletListener
  #bytes: Buffer = Buffer.alloc(0)
  #packet: FirstPacket | undefined
  #isReleased = false
  #isHeaderDue: boolean

  constructor(socket: Socket, listener: InletListener, expectsHeader = false) {
    this.#socket = socket
    this.#listener = listener
    this.#isHeaderDue = expectsHeader
    socket.on('data', this.#onData)
    socket.once('end', this.#onGone)
    socket.once('close', this.#onGone)
  }

  /** Stops listening and returns all bytes so far; the socket is paused, so nothing is lost in between. */
  release(): Buffer {
    this.#isReleased = true
    this.#socket.pause()
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onGone)
    this.#socket.off('close', this.#onGone)
    return this.#bytes
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    if (this.#isHeaderDue && !this.#takeHeader()) return
    if (this.#packet === undefined) {
      this.#packet = readFirstPacket(this.#bytes)
      if (this.#packet !== undefined) this.#listener.onPacket(this.#packet)
    }
    if (!this.#isReleased && this.#bytes.length > FIRST_PACKET_BYTES_MAX) this.#socket.pause()
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

  readonly #onGone = (): void => {
    if (this.#isReleased) return
    this.release()
    this.#listener.onGone()
  }
}

/** Both ends of a connection as its socket knows them. */
export function endpointsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): Endpoints {
  return {
    source: remoteAddress ?? '',
    sourcePort: remotePort ?? 0,
    target: localAddress ?? '',
    targetPort: localPort ?? 0,
  }
}
