// What the neighbours on a link hear and say of an address: probes before it is added, announcements afterwards.

import type { Clock } from '../platform/clock.ts'
import type { VipAddress } from './addresses.ts'
import {
  arpClaim,
  arpProbe,
  type Claim,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  gratuitousArp,
  NEIGHBOUR_ADVERTISEMENT,
  neighbourAnnouncement,
  neighbourClaim,
  neighbourProbe,
  printMac,
} from './frames.ts'
import { NativeSocket } from './native-socket.ts'
import type { Link } from './rtnetlink.ts'

const AF_INET6 = 10
const AF_PACKET = 17
const SOCK_RAW = 3
const IPPROTO_ICMPV6 = 58
const ICMP6_FILTER = 1
const SOL_SOCKET = 1
const SO_BINDTODEVICE = 25

/** Two questions, so that one lost frame does not make two owners; the answer of a living host comes in a millisecond. */
const PROBE_TIMES_MS = [0, 40]
const PROBE_WAIT_MS = 100

/** Says on the link that the address is here. One that the link cannot send (it is down) is lost. */
export function announceOnce(link: Link, { address, family }: VipAddress): void {
  if (link.mac === undefined) return
  const frames = family === 4 ? gratuitousArp(link.mac, address) : [neighbourAnnouncement(link.mac, address)]
  let socket: NativeSocket | undefined
  try {
    socket = packetSocket(link, family, false)
    for (const frame of frames) socket.send(frame)
  } catch {
    // It is sent again in a moment.
  } finally {
    socket?.close()
  }
}

/**
 * Asks whether another host has the address: its MAC, or undefined when nobody answers within a tenth of a second. A link
 * without MACs has nobody to ask. Rejects with the signal's reason.
 */
export async function probe(
  clock: Clock,
  link: Link,
  { address, family }: VipAddress,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { mac } = link
  if (mac === undefined) return undefined
  const own = printMac(mac)
  const [listener, sender] = openSockets(link, family)
  const read: (message: Buffer) => Claim | undefined = family === 4 ? arpClaim : neighbourClaim
  const found = Promise.withResolvers<string>()
  const frame = family === 4 ? arpProbe(mac, address) : neighbourProbe(mac, address)
  const ask = async () => {
    for (const atMs of PROBE_TIMES_MS) {
      if (atMs > 0) await clock.sleep(atMs, signal)
      sender.send(frame)
    }
    await clock.sleep(PROBE_WAIT_MS, signal)
    return undefined
  }
  try {
    listener.follow(message => {
      const claim = read(message)
      if (claim?.address === address && claim.mac !== own) found.resolve(claim.mac)
    })
    return await Promise.race([found.promise, ask()])
  } finally {
    listener.close()
    sender.close()
  }
}

/** One that hears the answers and one that asks: the same for ARP. */
function openSockets(link: Link, family: 4 | 6): readonly [NativeSocket, NativeSocket] {
  const listener = family === 4 ? packetSocket(link, 4, true) : advertisementSocket(link)
  return bound(listener, () => [listener, family === 4 ? listener : packetSocket(link, 6, false)])
}

/** Frames in and out of one interface. Without `listens` nothing is received, whatever comes. */
function packetSocket(link: Link, family: 4 | 6, listens: boolean): NativeSocket {
  const type = family === 4 ? ETHERTYPE_ARP : ETHERTYPE_IPV6
  const socket = new NativeSocket(AF_PACKET, SOCK_RAW, 0)
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(listens ? type : 0, 2)
  address.writeInt32LE(link.index, 4)
  return bound(socket, () => {
    socket.bind(address)
    return socket
  })
}

/** Neighbour advertisements that come to one interface, and nothing else of ICMPv6. */
function advertisementSocket(link: Link): NativeSocket {
  const socket = new NativeSocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
  const filter = Buffer.alloc(32, 0xff)
  const word = filter.readUInt32LE((NEIGHBOUR_ADVERTISEMENT >> 5) * 4)
  filter.writeUInt32LE(
    (word & ~(1 << (NEIGHBOUR_ADVERTISEMENT & 31))) >>> 0,
    (NEIGHBOUR_ADVERTISEMENT >> 5) * 4,
  )
  return bound(socket, () => {
    socket.setOption(IPPROTO_ICMPV6, ICMP6_FILTER, filter)
    socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${link.name}\0`))
    return socket
  })
}

/** Closes the socket when the rest fails. */
function bound<T>(socket: NativeSocket, prepare: () => T): T {
  try {
    return prepare()
  } catch (error) {
    socket.close()
    throw error
  }
}
