// The connections of the REST server: bounded in number and in time. Health checks must get through whatever else is going
// on, so an idle connection never keeps a new one out.

import type { Socket } from 'node:net'
import type { Clock, Timer } from '../platform/clock.ts'

const CONNECTIONS_MAX = 500
/** A request must be complete this long after its connection began, and an answer taken this long after it was sent. */
const REQUEST_MS = 10_000
const SWEEP_MS = 1_000

interface Connection {
  readonly socket: Socket
  /** Since when it is in its state. */
  sinceMs: number
  /** Nothing was asked yet, an answer is being made, an answer is on its way or has arrived. */
  state: 'idle' | 'busy' | 'answered'
}

/** All connections by the addresses and ports of both sides, in the order of their arrival. */
export class Connections {
  readonly #clock: Clock
  readonly #onLate: (socket: Socket) => void
  readonly #onDropped: () => void
  readonly #open = new Map<string, Connection>()
  #timer: Timer | undefined

  /**
   * `onLate` is called for a connection whose request did not come in time; it ends the socket. `onDropped` counts those, the
   * ones that made room and the ones that found none.
   */
  constructor(clock: Clock, onLate: (socket: Socket) => void, onDropped: () => void) {
    this.#clock = clock
    this.#onLate = onLate
    this.#onDropped = onDropped
  }

  get size(): number {
    return this.#open.size
  }

  start(): void {
    this.#timer = this.#clock.setTimer(SWEEP_MS, () => {
      this.start()
      this.#sweep()
    })
  }

  /** Cuts all that are left. */
  close(): void {
    this.#timer?.cancel()
    for (const { socket } of this.#open.values()) socket.destroy()
  }

  /**
   * Takes a new connection; the oldest one for which nothing is being done makes room when there are too many. False when
   * there is none such: the caller of this ends the socket.
   */
  admit(socket: Socket): boolean {
    socket.on('error', () => {})
    if (this.#open.size >= CONNECTIONS_MAX && !this.#makeRoom()) {
      this.#onDropped()
      return false
    }
    const key = keyOf(socket)
    this.#open.set(key, { socket, sinceMs: this.#clock.monotonicMs(), state: 'idle' })
    socket.on('close', () => this.#open.delete(key))
    return true
  }

  /** The request on this socket (or on the encrypted one over it) is being answered. False when one was before. */
  begin(socket: Socket): boolean {
    const connection = this.#open.get(keyOf(socket))
    if (connection?.state !== 'idle') return false
    this.#to(connection, 'busy')
    return true
  }

  /** The answer is on its way. A caller that takes it and does not leave keeps nobody else out. */
  end(socket: Socket): void {
    const connection = this.#open.get(keyOf(socket))
    if (connection !== undefined) this.#to(connection, 'answered')
  }

  #to(connection: Connection, state: Connection['state']): void {
    connection.state = state
    connection.sinceMs = this.#clock.monotonicMs()
  }

  #makeRoom(): boolean {
    for (const [key, { socket, state }] of this.#open) {
      if (state === 'busy') continue
      this.#open.delete(key)
      socket.destroy()
      if (state === 'idle') this.#onDropped()
      return true
    }
    return false
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const { socket, sinceMs, state } of this.#open.values()) {
      if (state === 'busy' || nowMs - sinceMs < REQUEST_MS) continue
      if (state === 'answered') socket.destroy()
      else {
        this.#onLate(socket)
        this.#onDropped()
      }
    }
  }
}

function keyOf(socket: Socket): string {
  return [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort].join(' ')
}
