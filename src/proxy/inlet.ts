// A client's first bytes, from accept until a relay takes over: finds the first packet, notices a client that hangs up,
// keeps what came early, within a bound.

import type { Socket } from 'node:net'
import { FIRST_PACKET_BYTES_MAX, type FirstPacket, readFirstPacket } from './startup.ts'

export interface InletListener {
  /** The first packet is complete. Told once. */
  onPacket(packet: FirstPacket): void
  /** The client closed or vanished before a relay took over. Told once. */
  onGone(): void
}

export class Inlet {
  readonly #socket: Socket
  readonly #listener: InletListener
  #bytes: Buffer = Buffer.alloc(0)
  #packet: FirstPacket | undefined
  #isReleased = false

  constructor(socket: Socket, listener: InletListener) {
    this.#socket = socket
    this.#listener = listener
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
    if (this.#packet === undefined) {
      this.#packet = readFirstPacket(this.#bytes)
      if (this.#packet !== undefined) this.#listener.onPacket(this.#packet)
    }
    if (!this.#isReleased && this.#bytes.length > FIRST_PACKET_BYTES_MAX) this.#socket.pause()
  }

  readonly #onGone = (): void => {
    if (this.#isReleased) return
    this.release()
    this.#listener.onGone()
  }
}
