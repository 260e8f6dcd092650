// Addresses and links of this host through rtnetlink(7): what `ip address` does, without another program.

import { addressBytes, addressText } from './address-text.ts'
import type { VipAddress } from './addresses.ts'
import { NativeSocket } from './native-socket.ts'
import {
  AF_NETLINK,
  ask,
  attribute,
  NetlinkError,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  parseAttributes,
  SOCK_RAW,
} from './netlink.ts'

const NETLINK_ROUTE = 0
const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_DELADDR = 21
const RTM_GETADDR = 22
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_LABEL = 3
const IFA_CACHEINFO = 6
const IFA_FLAGS = 8
const IFA_F_NODAD = 0x02
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const ARPHRD_ETHER = 1
const IFF_UP = 1
const IFF_LOWER_UP = 0x10000

const FAMILIES = { 4: 2, 6: 10 } as const
const ADDRESS_FIXED_BYTES = 8
const LINK_FIXED_BYTES = 16

/** An interface of this host. */
export interface Link {
  readonly index: number
  readonly name: string
  /** Six bytes on Ethernet; other kinds of links know no ARP. */
  readonly mac: Buffer | undefined
  /** It is up and has a carrier. */
  readonly isRunning: boolean
}

/** An address that is on an interface now. */
export interface PresentAddress {
  readonly index: number
  readonly address: string
  readonly family: 4 | 6
  readonly prefixLength: number
}

export class Rtnetlink {
  readonly #socket = new NativeSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)

  close(): void {
    this.#socket.close()
  }

  /** The interface of that name; undefined when there is none. */
  link(name: string): Link | undefined {
    const body = Buffer.concat([
      Buffer.alloc(LINK_FIXED_BYTES),
      attribute(IFLA_IFNAME, Buffer.from(`${name}\0`)),
    ])
    try {
      const flags = NLM_F_REQUEST | NLM_F_ACK
      const answers = ask(this.#socket, { type: RTM_GETLINK, flags, body }, `link ${name}`)
      const link = answers.find(({ type }) => type === RTM_NEWLINK)
      return link === undefined ? undefined : parseLink(name, link.body)
    } catch (error) {
      if (error instanceof NetlinkError && error.errnoName === 'ENODEV') return undefined
      throw error
    }
  }

  /** Every address of this host. */
  addresses(): readonly PresentAddress[] {
    const request = {
      type: RTM_GETADDR,
      flags: NLM_F_REQUEST | NLM_F_DUMP,
      body: Buffer.alloc(ADDRESS_FIXED_BYTES),
    }
    return ask(this.#socket, request, 'addresses')
      .filter(({ type }) => type === RTM_NEWADDR)
      .map(({ body }) => parseAddress(body))
      .filter(address => address !== undefined)
  }

  /**
   * Puts the address there, or gives it a new lifetime: after `validSeconds` without another call the kernel itself takes it
   * away, even if every process of this host stands still. Without the kernel's own duplicate detection, which would keep an
   * IPv6 address unusable for a second: we have asked ourselves.
   */
  add(link: Link, vip: VipAddress, validSeconds: number): void {
    const lifetime = Buffer.alloc(16)
    // With a preferred time of zero the kernel chooses it for no connection that this host begins: those would be cut when it moves.
    lifetime.writeUInt32LE(vip.family === 6 ? 0 : validSeconds, 0)
    lifetime.writeUInt32LE(validSeconds, 4)
    const flags = Buffer.alloc(4)
    flags.writeUInt32LE(vip.family === 6 ? IFA_F_NODAD : 0)
    const label =
      vip.label === undefined || vip.family === 6 ? [] : [attribute(IFA_LABEL, Buffer.from(`${vip.label}\0`))]
    const whole = attribute(IFA_ADDRESS, addressBytes(vip.address, vip.family))
    const extra = [whole, attribute(IFA_CACHEINFO, lifetime), attribute(IFA_FLAGS, flags), ...label]
    this.#change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, { ...vip, index: link.index }, extra)
  }

  /** Takes away what `addresses` told. One that has gone meanwhile is fine. */
  remove(present: PresentAddress): void {
    try {
      // By its own end alone: the other end of a point-to-point link is of no matter.
      this.#change(RTM_DELADDR, 0, present, [])
    } catch (error) {
      if (error instanceof NetlinkError && /^(EADDRNOTAVAIL|ENODEV)$/.test(error.errnoName)) return
      throw error
    }
  }

  #change(type: number, flags: number, place: PresentAddress, extra: readonly Buffer[]): void {
    const { index, address, family, prefixLength } = place
    const fixed = Buffer.alloc(ADDRESS_FIXED_BYTES)
    fixed.writeUInt8(FAMILIES[family], 0)
    fixed.writeUInt8(prefixLength, 1)
    fixed.writeUInt32LE(index, 4)
    const body = Buffer.concat([fixed, attribute(IFA_LOCAL, addressBytes(address, family)), ...extra])
    const what = `${address}/${prefixLength}`
    ask(this.#socket, { type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, body }, what)
  }
}

/** Those of the present addresses that are this one, whatever their prefix length, on an interface. */
export function presentOf(
  vip: VipAddress,
  index: number | undefined,
  present: readonly PresentAddress[],
): readonly PresentAddress[] {
  const address = addressText(addressBytes(vip.address, vip.family))
  return present.filter(one => one.index === index && one.family === vip.family && one.address === address)
}

function parseLink(name: string, body: Buffer): Link {
  const flags = body.readUInt32LE(8)
  const mac = parseAttributes(body.subarray(LINK_FIXED_BYTES)).get(IFLA_ADDRESS)
  return {
    index: body.readInt32LE(4),
    name,
    mac: body.readUInt16LE(2) === ARPHRD_ETHER && mac?.length === 6 ? Buffer.from(mac) : undefined,
    isRunning: (flags & IFF_UP) !== 0 && (flags & IFF_LOWER_UP) !== 0,
  }
}

function parseAddress(body: Buffer): PresentAddress | undefined {
  const family = body.readUInt8(0) === FAMILIES[4] ? 4 : body.readUInt8(0) === FAMILIES[6] ? 6 : undefined
  const attributes = parseAttributes(body.subarray(ADDRESS_FIXED_BYTES))
  // On a point-to-point link IFA_ADDRESS is the other end.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS)
  if (family === undefined || bytes === undefined) return undefined
  return {
    index: body.readUInt32LE(4),
    address: addressText(bytes),
    family,
    prefixLength: body.readUInt8(1),
  }
}
