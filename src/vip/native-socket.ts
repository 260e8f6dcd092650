// A socket of the families that Node does not offer: netlink, packets, raw ICMPv6. Never blocks: the kernel answers netlink
// requests while they are sent, and what has not arrived yet is no answer.

import { HaError } from '../platform/errors.ts'
import {
  type DescriptorWatch,
  type NativeLibrary,
  nativeLibrary,
  SystemCallError,
} from '../platform/native.ts'

const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const RECEIVE_BYTES_MAX = 128 * 1024
/** Messages taken in one go; the rest waits for the next turn of the event loop. */
const MESSAGES_MAX = 256

type Calls = ReturnType<typeof bindCalls>
let bound: Calls | undefined

function calls(): Calls {
  bound ??= bindCalls(nativeLibrary())
  return bound
}

function bindCalls(library: NativeLibrary) {
  return {
    library,
    socket: library.bind('int socket(int domain, int type, int protocol)'),
    close: library.bind('int close(int fd)'),
    bind: library.bind('int bind(int fd, const void *address, uint32_t length)'),
    sendto: library.bind(
      'int64_t sendto(int fd, const void *data, size_t size, int flags, const void *to, uint32_t length)',
    ),
    recv: library.bind('int64_t recv(int fd, _Out_ void *data, size_t size, int flags)'),
    setsockopt: library.bind(
      'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
    ),
  }
}

export class NativeSocket {
  readonly #calls = calls()
  readonly #descriptor: number
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES_MAX)
  #watch: DescriptorWatch | undefined
  #isClosed = false

  /** Throws SystemCallError, with EPERM when a capability is missing. */
  constructor(domain: number, type: number, protocol: number) {
    this.#descriptor = this.#calls.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
  }

  bind(address: Buffer): void {
    this.#calls.bind(this.#descriptor, address, address.length)
  }

  setOption(level: number, name: number, value: Buffer): void {
    this.#calls.setsockopt(this.#descriptor, level, name, value, value.length)
  }

  send(data: Buffer, to: Buffer | null = null): void {
    if (this.#isClosed) throw new HaError('E_CLOSED', 'the socket is closed')
    this.#calls.sendto(this.#descriptor, data, data.length, 0, to, to?.length ?? 0)
  }

  /** The next message, or undefined when there is none. */
  receive(): Buffer | undefined {
    try {
      const size = Number(this.#calls.recv(this.#descriptor, this.#buffer, this.#buffer.length, 0))
      return Buffer.from(this.#buffer.subarray(0, size))
    } catch (error) {
      if (error instanceof SystemCallError && (error.errnoName === 'EAGAIN' || error.errnoName === 'EINTR'))
        return undefined
      throw error
    }
  }

  /** Hands over every message as it comes, until `close`. What goes wrong in between (a link that went down) is no message. */
  follow(onMessage: (message: Buffer) => void): void {
    this.#watch = this.#calls.library.watch(this.#descriptor, () => {
      for (let count = 0; count < MESSAGES_MAX && !this.#isClosed; count++) {
        const message = this.#receiveQuietly()
        if (message === undefined) return
        onMessage(message)
      }
    })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watch?.stop()
    this.#calls.close(this.#descriptor)
  }

  #receiveQuietly(): Buffer | undefined {
    try {
      return this.receive()
    } catch {
      return undefined
    }
  }
}
