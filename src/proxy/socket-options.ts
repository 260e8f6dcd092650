// Options of TCP sockets that Node has no call for.
//
// TCP_USER_TIMEOUT (tcp(7)): how long sent data may go unacknowledged before the kernel ends the connection. The kernel counts a
// peer that answers and does not read (a client in a pager, a server that is stopped) as well. That one is not gone: while its
// window is closed and it answers, the limit is taken off its connection; stalled-peers.ts sees to it.

import type { Socket } from 'node:net'
import { type NativeFunction, nativeLibrary, optionalNativeLibrary } from '../platform/native.ts'
import { type Followable, type PeerLimits, StalledPeers } from './stalled-peers.ts'

const SOL_SOCKET = 1
const SO_LINGER = 13
const IPPROTO_TCP = 6
const TCP_INFO = 11
const TCP_USER_TIMEOUT = 18
const TCP_INFO_BYTES = 256

/** For the log, where it cannot be set. */
export const noUserTimeout =
  'TCP_USER_TIMEOUT cannot be set on this machine: a peer that vanishes while bytes are under way is given up after about 15 minutes'

let setOption: NativeFunction | undefined
let getOption: NativeFunction | undefined

/** Can this machine set it? Loads the library, once. */
export function canSetUserTimeout(): boolean {
  if (optionalNativeLibrary() === undefined) return false
  const library = nativeLibrary()
  setOption ??= library.bind(
    'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
  )
  getOption ??= library.bind('int getsockopt(int fd, int level, int name, void *value, void *length)')
  return true
}

const stalled = new StalledPeers({ read: readTcpInfo, set: setOn })

/** Sets it on a connected handle, until `forgetUserTimeout`; does nothing for undefined, or for a connection that has closed. */
export function setUserTimeout(handle: Followable | undefined, unackedMs: number | undefined): void {
  if (handle === undefined || unackedMs === undefined || descriptorOf(handle) < 0) return
  if (!canSetUserTimeout()) return
  setOn(descriptorOf(handle), unackedMs)
  stalled.follow(handle, { unackedMs })
}

/** A connection that we made gets it and keepalive when it has lasted for some seconds, unless `forgetUserTimeout` comes first. */
export function prepareLimits(handle: Followable, limits: PeerLimits): void {
  const isKnown = limits.unackedMs !== undefined && canSetUserTimeout()
  stalled.prepare(handle, isKnown ? limits : { ...limits, unackedMs: undefined })
}

/** Sets it on a listening handle: what it accepts inherits it (tcp(7)) and is only to be followed. */
export function setListenerUserTimeout(handle: Followable, unackedMs: number | undefined): void {
  if (unackedMs !== undefined && canSetUserTimeout()) setOn(descriptorOf(handle), unackedMs)
}

/** An accepted connection that has its listener's limit, until `forgetUserTimeout`. */
export function followUserTimeout(handle: Followable, unackedMs: number | undefined): void {
  if (unackedMs !== undefined && setOption !== undefined) stalled.follow(handle, { unackedMs })
}

/** The connection is closed. */
export function forgetUserTimeout(handle: Followable | undefined): void {
  if (handle !== undefined) stalled.forget(handle)
}

/** struct linger: on, for no time. */
const noLinger = Buffer.alloc(8)
noLinger.writeInt32LE(1)

/**
 * The next close of this handle is a reset (socket(7), SO_LINGER): what the kernel has not sent yet is dropped. Does nothing on a
 * machine where options cannot be set.
 */
export function dropUnsent(handle: Followable): void {
  if (descriptorOf(handle) < 0 || !canSetUserTimeout()) return
  setOption?.(descriptorOf(handle), SOL_SOCKET, SO_LINGER, noLinger, noLinger.length)
}

function descriptorOf({ fd = -1 }: Followable): number {
  return fd
}

const value = Buffer.alloc(4)

function setOn(descriptor: number, valueMs: number): void {
  value.writeUInt32LE(valueMs)
  setOption?.(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.length)
}

const info = Buffer.alloc(TCP_INFO_BYTES)
const length = Buffer.alloc(4)

/** The kernel's account of a connection, valid until the next call; undefined when there is none. */
function readTcpInfo(descriptor: number): Buffer | undefined {
  length.writeUInt32LE(info.length)
  const error = getOption?.(descriptor, IPPROTO_TCP, TCP_INFO, info, length) ?? -1
  return error < 0 ? undefined : info.subarray(0, length.readUInt32LE())
}

/** Not part of Node's documented interface, but of every version so far; missing, nothing is set. */
export function handleOf(socket: Socket): Followable | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Followable | null }
  return handle ?? undefined
}
