// Watches a session's start for its listener: learns the cancel key, stops a standby that answers as the leader.

import type { Backend, Gate } from './backend.ts'
import { Handshake } from './handshake.ts'
import type { Observer } from './relay/relay.ts'
import type { FirstPacket } from './startup.ts'

/** What the start of a session needs from its listener. */
export interface StartHost {
  readonly isWrite: boolean
  readonly cancels: { add(key: string, backend: Backend, gate: Gate): void }
  onRefused(backend: Backend, why: string): void
}

/** What a server says that is stopping, in a crash, or starting: evidence about it. */
const NOT_NOW: readonly string[] = ['57P01', '57P02', '57P03']

export class SessionStart implements Observer {
  readonly #handshake: Handshake
  readonly #host: StartHost
  readonly #backend: Backend
  readonly #gate: Gate
  readonly #onCancelKey: (key: string) => void
  #hasKey = false
  #hasTold = false
  /** Set when a piece was stopped and the client has got whole messages only. */
  #isStoppedAtBoundary = false

  /** `early`: all bytes that the client has sent so far, the first packet included. `onCancelKey` is told once at most. */
  constructor(
    first: FirstPacket,
    early: Buffer,
    host: StartHost,
    backend: Backend,
    onCancelKey: (key: string) => void,
  ) {
    this.#handshake = new Handshake(first)
    this.#host = host
    this.#backend = backend
    this.#gate = backend.gate
    this.#onCancelKey = onCancelKey
    if (this.#handshake.isOver) return
    const rest = early.subarray(early.readUInt32BE(0))
    if (rest.length > 0) this.#handshake.fromClient(rest)
  }

  fromClient(chunk: Buffer): void {
    this.#handshake.fromClient(chunk)
  }

  fromServer(chunk: Buffer): boolean {
    const wasAtBoundary = this.#handshake.isAtBoundary
    this.#handshake.fromServer(chunk)
    const { cancelKey, refusal, isStandby } = this.#handshake
    if (cancelKey !== undefined) this.#learn(cancelKey)
    if (refusal !== undefined && NOT_NOW.includes(refusal))
      this.#tell(`its server refused with SQLSTATE ${refusal}`)
    if (!isStandby || !this.#host.isWrite) return true
    this.#tell('its server answered as a standby')
    this.#isStoppedAtBoundary = wasAtBoundary
    return false
  }

  isOver(): boolean {
    return this.#handshake.isOver
  }

  isAtBoundary(): boolean {
    return this.#isStoppedAtBoundary || this.#handshake.isAtBoundary
  }

  isClear(): boolean {
    return this.#handshake.phase === 'clear'
  }

  #learn(cancelKey: string): void {
    if (this.#hasKey) return
    this.#hasKey = true
    this.#host.cancels.add(cancelKey, this.#backend, this.#gate)
    this.#onCancelKey(cancelKey)
  }

  #tell(why: string): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#host.onRefused(this.#backend, why)
  }
}
