// Netlink messages as bytes (netlink(7)): a header, a fixed part, attributes. All numbers are in the machine's order, which is
// little-endian on every processor that we have system calls for.

import { getSystemErrorName } from 'node:util'
import { HaError } from '../platform/errors.ts'
import type { NativeSocket } from './native-socket.ts'

export const AF_NETLINK = 16
export const SOCK_RAW = 3

const HEADER_BYTES = 16
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
/** More messages than any answer of ours has: a loop over them must end. */
const ANSWERS_MAX = 1_000_000

export const NLM_F_REQUEST = 1
export const NLM_F_ACK = 4
export const NLM_F_REPLACE = 0x100
export const NLM_F_DUMP = 0x300
export const NLM_F_CREATE = 0x400

export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
}

/** The kernel's refusal of a request: `errnoName` as in errno(3). */
export class NetlinkError extends HaError {
  readonly errnoName: string

  constructor(what: string, errnoName: string) {
    super('E_NETLINK', `${what}: ${errnoName}`, { context: { errnoName } })
    this.errnoName = errnoName
  }
}

export function printMessage({ type, flags, body }: NetlinkMessage, sequence: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(HEADER_BYTES + body.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, body])
}

/** The messages in one datagram; what is cut off at its end is left out. */
export function parseMessages(data: Buffer): readonly (NetlinkMessage & { readonly sequence: number })[] {
  const messages: (NetlinkMessage & { readonly sequence: number })[] = []
  for (let at = 0; at + HEADER_BYTES <= data.length; ) {
    const length = data.readUInt32LE(at)
    if (length < HEADER_BYTES || at + length > data.length) break
    messages.push({
      type: data.readUInt16LE(at + 4),
      flags: data.readUInt16LE(at + 6),
      sequence: data.readUInt32LE(at + 8),
      body: data.subarray(at + HEADER_BYTES, at + length),
    })
    at += aligned(length)
  }
  return messages
}

export function attribute(type: number, value: Buffer): Buffer {
  const length = 4 + value.length
  const bytes = Buffer.alloc(aligned(length))
  bytes.writeUInt16LE(length, 0)
  bytes.writeUInt16LE(type, 2)
  value.copy(bytes, 4)
  return bytes
}

/** The attributes behind the fixed part, by type. */
export function parseAttributes(body: Buffer): ReadonlyMap<number, Buffer> {
  const attributes = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) break
    attributes.set(body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + length))
    at += aligned(length)
  }
  return attributes
}

let lastSequence = 0

/**
 * Sends a request that asks for an acknowledgement or a dump and returns the messages of its answer. The kernel works while
 * we send, so nothing waits. Throws NetlinkError when it refuses.
 */
export function ask(socket: NativeSocket, message: NetlinkMessage, what: string): readonly NetlinkMessage[] {
  lastSequence = (lastSequence + 1) >>> 0 || 1
  const sequence = lastSequence
  socket.send(printMessage(message, sequence))
  const answers: NetlinkMessage[] = []
  for (let count = 0; count < ANSWERS_MAX; count++) {
    const data = socket.receive()
    if (data === undefined) throw new NetlinkError(what, 'ENODATA')
    for (const answer of parseMessages(data)) {
      // An answer to an earlier request that was given up.
      if (answer.sequence !== sequence) continue
      if (answer.type === NLMSG_DONE) return answers
      if (answer.type !== NLMSG_ERROR) {
        answers.push(answer)
        continue
      }
      const code = answer.body.readInt32LE(0)
      if (code !== 0) throw new NetlinkError(what, getSystemErrorName(code))
      return answers
    }
  }
  throw new NetlinkError(what, 'EMSGSIZE')
}

function aligned(length: number): number {
  return (length + 3) & ~3
}
