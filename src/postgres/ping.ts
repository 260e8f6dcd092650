// Asks a server whether it takes connections, as pg_isready does: one start-up packet, one look at the answer. Needs no
// valid role or password, and costs the server next to nothing.

import { connect, type Socket } from 'node:net'
import type { Deadline } from '../platform/deadline.ts'

/** `rejecting`: alive, but starting, stopping or not yet consistent. `silent`: nobody there, or no answer in time. */
export type PingAnswer = 'accepting' | 'rejecting' | 'silent'

const PROTOCOL_VERSION = 196608
const CANNOT_CONNECT_NOW = '57P03'
const ANSWER_BYTES_MAX = 4096

/** Where to knock: a host and port, or the path of a socket. */
export type Door = { readonly host: string; readonly port: number } | { readonly path: string }

/** Settles at the deadline at the latest; never rejects. */
export function ping(door: Door, user: string, by: Deadline): Promise<PingAnswer> {
  return new Promise(resolve => {
    const socket: Socket = connect(door)
    const finish = (answer: PingAnswer) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => finish('silent'), by.remainingMs())
    let received = Buffer.alloc(0)
    socket.on('connect', () => socket.write(startupPacket(user)))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      const answer = readAnswer(received)
      if (answer !== undefined) finish(answer)
      else if (received.length > ANSWER_BYTES_MAX) finish('silent')
    })
    socket.on('error', () => finish('silent'))
    socket.on('close', () => finish('silent'))
  })
}

/** What the first message says; undefined while it is incomplete. */
export function readAnswer(bytes: Buffer): PingAnswer | undefined {
  if (bytes.length < 5) return undefined
  const kind = String.fromCharCode(bytes.readUInt8(0))
  if (kind === 'R') return 'accepting'
  if (kind !== 'E') return 'silent'
  const length = bytes.readUInt32BE(1)
  if (bytes.length < length + 1 && length < ANSWER_BYTES_MAX) return undefined
  const fields = bytes
    .subarray(5, length + 1)
    .toString('utf8')
    .split('\0')
  return fields.includes(`C${CANNOT_CONNECT_NOW}`) ? 'rejecting' : 'accepting'
}

function startupPacket(user: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0postgres\0\0`, 'utf8')
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8, 0)
  head.writeUInt32BE(PROTOCOL_VERSION, 4)
  return Buffer.concat([head, body])
}
