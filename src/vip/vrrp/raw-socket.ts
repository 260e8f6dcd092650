// The raw sockets of one instance: protocol 112 on one interface, hop limit 255, class CS6. Needs CAP_NET_RAW.
// It hands up every packet of the protocol that comes in, and judges none.

import { HaError, messageOf } from '../../platform/errors.ts'
import {
  type DescriptorWatch,
  type NativeFunction,
  type NativeLibrary,
  SystemCallError,
} from '../../platform/native.ts'
import { addressText } from '../address-text.ts'
import { bytesOf, type Family } from './family.ts'
import { VRRP_PROTOCOL } from './packet.ts'
import type { Arrival } from './receive.ts'

/** What an instance does with the network; a test may bring its own. */
export interface Wire {
  /**
   * Sends one message to the group, or to each peer; returns a line for each peer that it could not be sent to. Throws HaError
   * when the system refused all.
   */
  send(make: (destination: string) => Buffer): readonly string[]
  close(): void
}

export interface WireOptions {
  readonly interfaceName: string
  readonly family: Family
  /** Our address on the interface: the sender of every advert. */
  readonly source: string
  readonly group: string
  /** Unicast peers; undefined: the group. */
  readonly peers: readonly string[] | undefined
  readonly onArrival: (arrival: Arrival) => void
}

export type OpenWire = (options: WireOptions) => Wire

const AF = { 4: 2, 6: 10 } as const
const SOCK_RAW_NONBLOCKING = 3 | 0x800 | 0x80000
const SOL_SOCKET = 1
const SO_BINDTODEVICE = 25
const SO_PRIORITY = 12
const IP = { level: 0, tos: 1, ttl: 2, group: 32, groupTtl: 33, loop: 34, join: 35, all: 49 } as const
const IPV6 = { level: 41, hops: 16, group: 17, groupHops: 18, loop: 19, join: 20, trafficClass: 67 } as const
/** Control traffic goes before everything else: the kernel's TC_PRIO_CONTROL and the class CS6. */
const PRIORITY_CONTROL = 7
const CLASS_CS6 = 0xc0
const HOP_LIMIT = 255
const PACKET_BYTES_MAX = 8192
/** Packets read at one wake-up; the rest waits for the next turn of the loop. */
const BURST_MAX = 64

interface Calls {
  readonly socket: NativeFunction
  readonly close: NativeFunction
  readonly bind: NativeFunction
  readonly set: NativeFunction
  readonly send: NativeFunction
  readonly receive: NativeFunction
  readonly index: NativeFunction
}

let bound: { readonly library: NativeLibrary; readonly calls: Calls } | undefined

function callsOf(library: NativeLibrary): Calls {
  if (bound?.library !== library) bound = { library, calls: bindCalls(library) }
  return bound.calls
}

function bindCalls(library: NativeLibrary): Calls {
  return {
    socket: library.bind('int socket(int domain, int type, int protocol)'),
    close: library.bind('int close(int fd)'),
    bind: library.bind('int bind(int fd, const void *address, uint32_t length)'),
    set: library.bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
    send: library.bind(
      'int64_t sendto(int fd, const void *data, size_t size, int flags, const void *to, uint32_t length)',
    ),
    receive: library.bind(
      'int64_t recvfrom(int fd, _Out_ void *data, size_t size, int flags, _Out_ void *from, _Inout_ void *length)',
    ),
    index: library.bind('uint32_t if_nametoindex(const char *name)'),
  }
}

/** Opens the sockets of an instance. Throws HaError E_VRRP_SOCKET, whose message says what is missing. */
export function openWire(library: NativeLibrary, options: WireOptions): Wire {
  try {
    return new RawWire(library, options)
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error
    const hint = error.errnoName === 'EPERM' ? ' (the process needs CAP_NET_RAW)' : ''
    const what = `VRRP on ${options.interfaceName}: ${messageOf(error)}${hint}`
    throw new HaError('E_VRRP_SOCKET', what, { cause: error })
  }
}

class RawWire implements Wire {
  readonly #options: WireOptions
  readonly #calls: Calls
  readonly #interfaceIndex: number
  /** Bound to our own address, so that another one of the interface is never the sender. */
  readonly #sender: number
  readonly #receiver: number
  readonly #watch: DescriptorWatch
  readonly #buffer = Buffer.alloc(PACKET_BYTES_MAX)
  readonly #opened: number[] = []
  #isClosed = false

  constructor(library: NativeLibrary, options: WireOptions) {
    this.#options = options
    this.#calls = callsOf(library)
    this.#interfaceIndex = this.#calls.index(options.interfaceName)
    if (this.#interfaceIndex === 0) {
      throw new HaError('E_VRRP_SOCKET', `VRRP on ${options.interfaceName}: there is no such interface`)
    }
    try {
      this.#sender = this.#openSender()
      this.#receiver = this.#openReceiver()
      this.#watch = library.watch(this.#receiver, () => this.#read())
    } catch (error) {
      for (const descriptor of this.#opened) this.#calls.close(descriptor)
      throw error
    }
  }

  send(make: (destination: string) => Buffer): readonly string[] {
    const { peers, group } = this.#options
    const failures: string[] = []
    const destinations = peers ?? [group]
    for (const destination of destinations) {
      const bytes = make(destination)
      const to = this.#socketAddress(destination)
      try {
        this.#calls.send(this.#sender, bytes, bytes.length, 0, to, to.length)
      } catch (error) {
        // One peer without a route must not keep the others from hearing us.
        failures.push(`to ${destination}: ${messageOf(error)}`)
      }
    }
    const isLost = failures.length > 0 && failures.length === destinations.length
    if (isLost) throw new HaError('E_VRRP_SEND', failures.join('; '))
    return failures
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watch.stop()
    for (const descriptor of this.#opened) this.#calls.close(descriptor)
  }

  #open(): number {
    const { family, interfaceName } = this.#options
    const descriptor = this.#calls.socket(AF[family], SOCK_RAW_NONBLOCKING, VRRP_PROTOCOL)
    this.#opened.push(descriptor)
    const name = Buffer.from(`${interfaceName}\0`, 'latin1')
    this.#calls.set(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, name.length)
    return descriptor
  }

  #openSender(): number {
    const { family, source } = this.#options
    const descriptor = this.#open()
    this.#set(descriptor, SOL_SOCKET, SO_PRIORITY, PRIORITY_CONTROL)
    if (family === 4) {
      this.#set(descriptor, IP.level, IP.tos, CLASS_CS6)
      this.#set(descriptor, IP.level, IP.ttl, HOP_LIMIT)
      this.#set(descriptor, IP.level, IP.groupTtl, HOP_LIMIT)
      this.#set(descriptor, IP.level, IP.loop, 0)
      this.#setBytes(descriptor, IP.level, IP.group, this.#membership(source))
    } else {
      this.#set(descriptor, IPV6.level, IPV6.trafficClass, CLASS_CS6)
      this.#set(descriptor, IPV6.level, IPV6.hops, HOP_LIMIT)
      this.#set(descriptor, IPV6.level, IPV6.groupHops, HOP_LIMIT)
      this.#set(descriptor, IPV6.level, IPV6.loop, 0)
      this.#set(descriptor, IPV6.level, IPV6.group, this.#interfaceIndex)
    }
    const address = this.#socketAddress(source)
    this.#calls.bind(descriptor, address, address.length)
    return descriptor
  }

  #openReceiver(): number {
    const { family, group, peers, source } = this.#options
    const descriptor = this.#open()
    if (peers !== undefined) {
      // IPv6 does not tell where a packet was sent to: the binding does.
      const address = this.#socketAddress(source)
      this.#calls.bind(descriptor, address, address.length)
    } else if (family === 4) {
      this.#set(descriptor, IP.level, IP.all, 0)
      this.#setBytes(descriptor, IP.level, IP.join, this.#membership(group))
    } else {
      const address = this.#socketAddress(group)
      this.#setBytes(
        descriptor,
        IPV6.level,
        IPV6.join,
        Buffer.concat([bytesOf(group), int32(this.#interfaceIndex)]),
      )
      this.#calls.bind(descriptor, address, address.length)
    }
    return descriptor
  }

  #read(): void {
    for (let packets = 0; packets < BURST_MAX && !this.#isClosed; packets += 1) {
      const arrival = this.#readOne()
      if (arrival === undefined) return
      if (arrival !== 'unreadable') this.#options.onArrival(arrival)
    }
  }

  /** Undefined when nothing is left to read. */
  #readOne(): Arrival | 'unreadable' | undefined {
    const from = Buffer.alloc(28)
    const length = int32(from.length)
    let size: number
    try {
      size = Number(this.#calls.receive(this.#receiver, this.#buffer, PACKET_BYTES_MAX, 0, from, length))
    } catch (error) {
      if (error instanceof SystemCallError && error.errnoName === 'EINTR') return 'unreadable'
      // Nothing there, or the interface went down: whoever follows the link knows.
      return undefined
    }
    const packet = Buffer.from(this.#buffer.subarray(0, size))
    return this.#options.family === 4 ? readV4(packet) : this.#readV6(packet, from)
  }

  #readV6(bytes: Buffer, from: Buffer): Arrival | 'unreadable' {
    const { group, peers, source } = this.#options
    const sender = addressText(from.subarray(8, 24))
    // Routers forward no sender of the link alone: the same proof as the hop limit, which only recvmsg would tell.
    if (peers === undefined && !/^fe[89ab]/.test(sender)) return 'unreadable'
    return { bytes, source: sender, destination: peers === undefined ? group : source, hopLimit: undefined }
  }

  #set(descriptor: number, level: number, name: number, value: number): void {
    this.#setBytes(descriptor, level, name, int32(value))
  }

  #setBytes(descriptor: number, level: number, name: number, value: Buffer): void {
    this.#calls.set(descriptor, level, name, value, value.length)
  }

  /** struct ip_mreqn: a group (or nothing), our address, the interface. */
  #membership(address: string): Buffer {
    const isGroup = address === this.#options.group
    const [group, own] = [isGroup ? bytesOf(address) : Buffer.alloc(4), bytesOf(this.#options.source)]
    return Buffer.concat([group, own, int32(this.#interfaceIndex)])
  }

  /** struct sockaddr_in or sockaddr_in6. */
  #socketAddress(address: string): Buffer {
    const bytes = bytesOf(address)
    const isV4 = bytes.length === 4
    const result = Buffer.alloc(isV4 ? 16 : 28)
    result.writeUInt16LE(isV4 ? AF[4] : AF[6], 0)
    bytes.copy(result, isV4 ? 4 : 8)
    if (!isV4) result.writeUInt32LE(this.#interfaceIndex, 24)
    return result
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

/** A raw IPv4 socket gives the header, too. */
function readV4(packet: Buffer): Arrival | 'unreadable' {
  if (packet.length < 20) return 'unreadable'
  const headBytes = ((packet[0] ?? 0) & 0xf) * 4
  if (headBytes < 20 || headBytes > packet.length) return 'unreadable'
  return {
    bytes: packet.subarray(headBytes),
    source: addressText(packet.subarray(12, 16)),
    destination: addressText(packet.subarray(16, 20)),
    hopLimit: packet[8],
  }
}
