// Options of TCP sockets that Node has no call for.
//
// TCP_USER_TIMEOUT (tcp(7)): how long sent data may go unacknowledged before the kernel ends the connection. The kernel counts a
// peer that answers and does not read (a client in a pager, a server that is stopped) as well. That one is not gone: while its
// window is closed and it answers, the limit is taken off its connection; stalled-peers.ts sees to it.

import type { Socket } from 'node:net'
import {
  type NativeFunction,
  type NativeLibrary,
  optionalNativeLibrary,
  SystemCallError,
} from '../platform/native.ts'
import { type Followable, type PeerLimits, StalledPeers } from './stalled-peers.ts'

const SHUT_WR = 1
const AF_INET = 2
const SOCK_STREAM_CLOEXEC = 0o2000001
const SOL_SOCKET = 1
const SO_LINGER = 13
const IPPROTO_TCP = 6
const TCP_INFO = 11
const TCP_USER_TIMEOUT = 18
const TCP_INFO_BYTES = 256

/** For the log, where it cannot be set. */
export const noUserTimeout =
  'TCP_USER_TIMEOUT cannot be set on this machine: a peer that vanishes while bytes are under way is given up after about 15 minutes'

/** struct linger: on, for no time. */
const noLinger = Buffer.alloc(8)
noLinger.writeInt32LE(1)

/** `sent`: FIN is under way. `nobody`: the other side is gone. `unknown`: it could not be asked for. */
export type ShutAnswer = 'sent' | 'nobody' | 'unknown'

type Binds = Pick<NativeLibrary, 'bind'>

/**
 * The options as this machine has them. One that is refused (its descriptor is none of a connection any more, a sandbox
 * forbids the call) is one that is not there: timers and closes ask, and nothing may end of the answer.
 */
export class OptionCalls {
  readonly #set: NativeFunction
  readonly #get: NativeFunction
  readonly #shut: NativeFunction
  /** Does this machine have the limit, and the account that says when to take it off? Tried on a socket of its own. */
  readonly hasUserTimeout: boolean
  readonly #value = Buffer.alloc(4)
  readonly #info = Buffer.alloc(TCP_INFO_BYTES)
  readonly #length = Buffer.alloc(4)

  constructor(library: Binds) {
    this.#set = library.bind(
      'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
    )
    this.#get = library.bind('int getsockopt(int fd, int level, int name, void *value, void *length)')
    this.#shut = library.bind('int shutdown(int fd, int how)')
    this.hasUserTimeout = this.#isTried(library)
  }

  /** 0: none. False: refused. */
  setUserTimeout(descriptor: number, limitMs: number): boolean {
    this.#value.writeUInt32LE(limitMs)
    return isDone(() => this.#set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, this.#value, this.#value.length))
  }

  /** False: refused. */
  setNoLinger(descriptor: number): boolean {
    return isDone(() => this.#set(descriptor, SOL_SOCKET, SO_LINGER, noLinger, noLinger.length))
  }

  /** As the function of this name. */
  shutWriting(descriptor: number): ShutAnswer {
    try {
      this.#shut(descriptor, SHUT_WR)
      return 'sent'
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error
      return error.errnoName === 'ENOTCONN' ? 'nobody' : 'unknown'
    }
  }

  /** The kernel's account of a connection, valid until the next call; undefined when there is none. */
  readTcpInfo(descriptor: number): Buffer | undefined {
    const length = this.#length
    length.writeUInt32LE(this.#info.length)
    const isRead = isDone(() => this.#get(descriptor, IPPROTO_TCP, TCP_INFO, this.#info, length))
    return isRead ? this.#info.subarray(0, length.readUInt32LE()) : undefined
  }

  /** The limit without the account is none: it would end whoever does not read for a while. */
  #isTried(library: Binds): boolean {
    const open = library.bind('int socket(int domain, int type, int protocol)')
    const close = library.bind('int close(int fd)')
    let descriptor = -1
    const isOpen = isDone(() => {
      descriptor = open(AF_INET, SOCK_STREAM_CLOEXEC, 0)
    })
    // No descriptor is left, or there is no IPv4: that says nothing about options.
    if (!isOpen) return true
    const hasBoth = this.setUserTimeout(descriptor, 0) && this.readTcpInfo(descriptor) !== undefined
    isDone(() => close(descriptor))
    return hasBoth
  }
}

function isDone(call: () => unknown): boolean {
  try {
    call()
    return true
  } catch (error) {
    if (error instanceof SystemCallError) return false
    throw error
  }
}

let calls: OptionCalls | undefined

/** Undefined on a machine without the library, which is loaded and tried out once. */
function optionCalls(): OptionCalls | undefined {
  if (calls === undefined) {
    const library = optionalNativeLibrary()
    if (library !== undefined) calls = new OptionCalls(library)
  }
  return calls
}

/** Can this machine set it? Tries it out, once. */
export function canSetUserTimeout(): boolean {
  return optionCalls()?.hasUserTimeout ?? false
}

const stalled = new StalledPeers({
  read: descriptor => optionCalls()?.readTcpInfo(descriptor),
  set: (descriptor, limitMs) => void optionCalls()?.setUserTimeout(descriptor, limitMs),
})

/** Sets it on a connected handle, until `forgetUserTimeout`; does nothing for undefined, or for a connection that has closed. */
export function setUserTimeout(handle: Followable | undefined, unackedMs: number | undefined): void {
  if (handle === undefined || unackedMs === undefined || descriptorOf(handle) < 0) return
  if (!canSetUserTimeout()) return
  optionCalls()?.setUserTimeout(descriptorOf(handle), unackedMs)
  stalled.follow(handle, { unackedMs })
}

/** A connection that we made gets it and keepalive when it has lasted for some seconds, unless `forgetUserTimeout` comes first. */
export function prepareLimits(handle: Followable, limits: PeerLimits): void {
  const isKnown = limits.unackedMs !== undefined && canSetUserTimeout()
  stalled.prepare(handle, isKnown ? limits : { ...limits, unackedMs: undefined })
}

/** Sets it on a listening handle: what it accepts inherits it (tcp(7)) and is only to be followed. */
export function setListenerUserTimeout(handle: Followable, unackedMs: number | undefined): void {
  if (unackedMs !== undefined && canSetUserTimeout())
    optionCalls()?.setUserTimeout(descriptorOf(handle), unackedMs)
}

/** An accepted connection that has its listener's limit, until `forgetUserTimeout`. */
export function followUserTimeout(handle: Followable, unackedMs: number | undefined): void {
  if (unackedMs !== undefined && canSetUserTimeout()) stalled.follow(handle, { unackedMs })
}

/** The connection is closed. */
export function forgetUserTimeout(handle: Followable | undefined): void {
  if (handle !== undefined) stalled.forget(handle)
}

/** Sends FIN behind what the kernel has (shutdown(2)), at once: Node's own way takes an object and a turn of the event loop. */
export function shutWriting(handle: Followable): ShutAnswer {
  const descriptor = descriptorOf(handle)
  return descriptor < 0 ? 'unknown' : (optionCalls()?.shutWriting(descriptor) ?? 'unknown')
}

/**
 * The next close of this handle is a reset (socket(7), SO_LINGER): what the kernel has not sent yet is dropped. Does nothing on a
 * machine where options cannot be set.
 */
export function dropUnsent(handle: Followable): void {
  if (descriptorOf(handle) >= 0) optionCalls()?.setNoLinger(descriptorOf(handle))
}

function descriptorOf({ fd = -1 }: Followable): number {
  return fd
}

/** Not part of Node's documented interface, but of every version so far; missing, nothing is set. */
export function handleOf(socket: Socket): Followable | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Followable | null }
  return handle ?? undefined
}
