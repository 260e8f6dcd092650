// Looks over the shoulder of a connection's start, until the server is ready for queries or encryption begins.
// Bytes only; it changes nothing. What it learns: the cancel key, and whether the server says that it is a standby.

import { FIRST_PACKET_BYTES_MAX, type FirstPacket, readFirstPacket } from './startup.ts'

/** Bodies longer than this are skipped, not kept. */
const KEPT_BODY_BYTES_MAX = 8 * 1024
/** The type, and the length, which counts itself. */
const HEADER_BYTES = 5
const LENGTH_BYTES = 4
const NOTHING = Buffer.alloc(0)

/** Types of messages: BackendKeyData, ParameterStatus, ErrorResponse, ReadyForQuery. */
const KEY_DATA = 0x4b
const PARAMETER_STATUS = 0x53
const ERROR = 0x45
const READY = 0x5a
const KEPT_TYPES: readonly number[] = [KEY_DATA, PARAMETER_STATUS, ERROR]
const IS_STANDBY = Buffer.from('in_hot_standby\0on\0', 'latin1')

/**
 * `answer`: the server's one-byte answer to an encryption request is due. `packet`: the client's next packet is due.
 * `messages`: the server's messages up to ReadyForQuery. `clear`: over, in clear text. `opaque`: over, nothing can be read.
 */
export type HandshakePhase = 'answer' | 'packet' | 'messages' | 'clear' | 'opaque'

export class Handshake {
  #phase: HandshakePhase
  #fromClient: Buffer = NOTHING
  #header: Buffer = NOTHING
  #bodyBytesLeft = 0
  #body: Buffer[] = []
  #cancelKey: string | undefined
  #isStandby = false
  #refusal: string | undefined

  constructor(first: FirstPacket) {
    this.#phase = phaseAfter(first)
  }

  get phase(): HandshakePhase {
    return this.#phase
  }

  /** Is there nothing more to see? */
  get isOver(): boolean {
    return this.#phase === 'clear' || this.#phase === 'opaque'
  }

  /** Process id and secret as the server gave them, in the form of `cancelKeyOf`. */
  get cancelKey(): string | undefined {
    return this.#cancelKey
  }

  /** Has the server reported `in_hot_standby` (PostgreSQL 14 and later, in clear text only)? */
  get isStandby(): boolean {
    return this.#isStandby
  }

  /** SQLSTATE of the error with which the server refused; undefined when it did not or when nobody could read it. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** Does the server's next byte begin a message? Only then may the proxy put in a message of its own. */
  get isAtBoundary(): boolean {
    return this.#phase === 'messages' && this.#bodyBytesLeft === 0 && this.#header.length === 0
  }

  /** Takes what the client sends after its first packet. */
  fromClient(chunk: Buffer): void {
    if (this.#phase === 'answer') this.#phase = 'opaque'
    if (this.#phase !== 'packet') return
    this.#fromClient = Buffer.concat([this.#fromClient, chunk])
    const packet = readFirstPacket(this.#fromClient)
    if (packet === undefined) {
      if (this.#fromClient.length > FIRST_PACKET_BYTES_MAX) this.#phase = 'opaque'
      return
    }
    this.#fromClient = NOTHING
    this.#phase = phaseAfter(packet)
  }

  /** Takes what the server sends. */
  fromServer(chunk: Buffer): void {
    let at = 0
    if (this.#phase === 'answer' && chunk.length > 0) {
      this.#phase = phaseAfterAnswer(chunk[0])
      at = this.#phase === 'messages' ? 0 : 1
    }
    while (this.#phase === 'messages' && at < chunk.length)
      at = this.#takeWhole(chunk, at) ?? chunk.length - this.#takePart(chunk.subarray(at)).length
  }

  /** Takes the message that begins at `at` if the whole of it is there, as nearly always; returns where the next one begins. */
  #takeWhole(chunk: Buffer, at: number): number | undefined {
    if (!this.isAtBoundary || chunk.length - at < HEADER_BYTES) return undefined
    const length = chunk.readUInt32BE(at + 1)
    const end = at + 1 + length
    if (length < LENGTH_BYTES || end > chunk.length) return undefined
    const from = length > KEPT_BODY_BYTES_MAX ? end : at + HEADER_BYTES
    this.#learn(chunk[at] ?? 0, chunk, from, end)
    return end
  }

  /** Takes bytes up to the end of the present header or body; returns the rest. */
  #takePart(chunk: Buffer): Buffer {
    if (this.#header.length < HEADER_BYTES) return this.#takeHeader(chunk)
    const taken = chunk.subarray(0, this.#bodyBytesLeft)
    // A copy: the bytes are ours for the time of this call only.
    if (this.#isKept()) this.#body.push(Buffer.from(taken))
    this.#bodyBytesLeft -= taken.length
    if (this.#bodyBytesLeft === 0) this.#finishMessage()
    return chunk.subarray(taken.length)
  }

  #takeHeader(chunk: Buffer): Buffer {
    const missing = HEADER_BYTES - this.#header.length
    const taken = chunk.subarray(0, missing)
    this.#header = Buffer.concat([this.#header, taken])
    if (taken.length === missing) {
      const length = this.#header.readUInt32BE(1)
      if (length < LENGTH_BYTES) {
        this.#phase = 'opaque'
        return chunk.subarray(taken.length)
      }
      this.#bodyBytesLeft = length - LENGTH_BYTES
      if (this.#bodyBytesLeft === 0) this.#finishMessage()
    }
    return chunk.subarray(taken.length)
  }

  #isKept(): boolean {
    return KEPT_TYPES.includes(this.#header[0] ?? 0) && this.#header.readUInt32BE(1) <= KEPT_BODY_BYTES_MAX
  }

  #finishMessage(): void {
    const type = this.#header[0] ?? 0
    const body = Buffer.concat(this.#body)
    this.#header = NOTHING
    this.#body = []
    this.#learn(type, body, 0, body.length)
  }

  /** What a message says whose body is these bytes. */
  #learn(type: number, bytes: Buffer, from: number, to: number): void {
    if (type === KEY_DATA && to - from >= 8) {
      this.#cancelKey = cancelKeyOf(bytes.readUInt32BE(from), bytes.toString('hex', from + 4, to))
    }
    if (type === PARAMETER_STATUS && bytes.compare(IS_STANDBY, 0, IS_STANDBY.length, from, to) === 0) {
      this.#isStandby = true
    }
    if (type === ERROR) this.#refusal = /(?:^|\0)C(\w{5})\0/.exec(bytes.toString('latin1', from, to))?.[1]
    if (type === READY) this.#phase = 'clear'
  }
}

/** The name of a cancel key in maps and logs of this process. */
export function cancelKeyOf(processId: number, secret: string): string {
  return `${processId}:${secret}`
}

function phaseAfter(packet: FirstPacket): HandshakePhase {
  if (packet.kind === 'startup') return 'messages'
  return packet.kind === 'ssl-request' || packet.kind === 'gss-request' ? 'answer' : 'opaque'
}

/** `N` means: go on in clear. An error message may come instead of the one byte. */
function phaseAfterAnswer(byte: number | undefined): HandshakePhase {
  if (byte === 0x4e) return 'packet'
  return byte === ERROR ? 'messages' : 'opaque'
}
