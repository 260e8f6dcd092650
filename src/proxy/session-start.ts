// Watches a session's start: learns the cancel key, stops a standby that answers as the leader.

import { Handshake } from './handshake.ts'
import type { Observer } from './relay/relay.ts'
import type { FirstPacket } from './startup.ts'

/** Who is told what the start of a session teaches. Each once at most. */
export interface StartListener {
  /** The key that its server gave out. */
  onCancelKey(key: string): void
  /** Its server itself says that it takes no sessions, or none that write: evidence about it. */
  onServerRefused(why: string): void
}

/** What a server says that is stopping, in a crash, or starting: evidence about it. */
const NOT_NOW: readonly string[] = ['57P01', '57P02', '57P03']

export class SessionStart implements Observer {
  readonly #handshake: Handshake
  readonly #isWrite: boolean
  readonly #listener: StartListener
  #hasKey = false
  #hasTold = false
  /** Set when a piece was stopped and the client has got whole messages only. */
  #isStoppedAtBoundary = false

  /** `early`: all bytes that the client has sent so far, the first packet included. `isWrite`: for the leader alone. */
  constructor(first: FirstPacket, early: Buffer, isWrite: boolean, listener: StartListener) {
    this.#handshake = new Handshake(first)
    this.#isWrite = isWrite
    this.#listener = listener
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
    if (!isStandby || !this.#isWrite) return true
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
    this.#listener.onCancelKey(cancelKey)
  }

  #tell(why: string): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#listener.onServerRefused(why)
  }
}
