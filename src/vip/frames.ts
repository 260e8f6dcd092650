// Ethernet frames that ask for an address or announce it: ARP (RFC 826, RFC 5227), neighbour discovery (RFC 4861). Pure.

import { addressBytes, addressText } from './address-text.ts'

export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_IPV6 = 0x86dd

const BROADCAST = Buffer.alloc(6, 0xff)
const ARP_BYTES = 28
const ARP_REQUEST = 1
const ARP_REPLY = 2
const ICMPV6 = 58
export const NEIGHBOUR_SOLICITATION = 135
export const NEIGHBOUR_ADVERTISEMENT = 136
const OPTION_SOURCE_MAC = 1
const OPTION_TARGET_MAC = 2
const OVERRIDE = 0x20000000
const ALL_NODES = 'ff02::1'

/** Who claims which address with a frame that came. */
export interface Claim {
  readonly address: string
  /** As `02:00:00:00:00:0b`. */
  readonly mac: string
}

/** Asks whether somebody has the address, without saying that we will. */
export function arpProbe(mac: Buffer, address: string): Buffer {
  return arpRequest(mac, '0.0.0.0', address)
}

/** Asks who has the address, as a host does that wants to send to it. */
export function arpRequest(mac: Buffer, own: string, address: string): Buffer {
  return arp(mac, ARP_REQUEST, own, address, Buffer.alloc(6))
}

/**
 * Says that the address is at `mac`, once as a request and once as a reply: some kernels take only the one, some switches and
 * routers only the other.
 */
export function gratuitousArp(mac: Buffer, address: string): readonly Buffer[] {
  return [
    arp(mac, ARP_REQUEST, address, address, BROADCAST),
    arp(mac, ARP_REPLY, address, address, BROADCAST),
  ]
}

/** The sender's claim of an ARP frame; undefined for a probe and for anything else. */
export function arpClaim(frame: Buffer): Claim | undefined {
  if (frame.length < 14 + ARP_BYTES || frame.readUInt16BE(12) !== ETHERTYPE_ARP) return undefined
  const body = frame.subarray(14)
  if (body.readUInt16BE(2) !== 0x0800 || body.readUInt8(5) !== 4) return undefined
  const address = addressText(body.subarray(14, 18))
  return address === '0.0.0.0' ? undefined : { address, mac: printMac(body.subarray(8, 14)) }
}

/** The same question for IPv6, from the unspecified address: whoever has it answers to all nodes. */
export function neighbourProbe(mac: Buffer, address: string): Buffer {
  const target = addressBytes(address, 6)
  const group = Buffer.concat([Buffer.from('ff0200000000000000000001ff', 'hex'), target.subarray(13)])
  const body = Buffer.concat([Buffer.from([NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]), target])
  return icmp(mac, Buffer.alloc(16), group, body)
}

/** Says to all nodes that the address is at `mac`, and that they should forget another one. */
export function neighbourAnnouncement(mac: Buffer, address: string): Buffer {
  const target = addressBytes(address, 6)
  const head = Buffer.alloc(8)
  head.writeUInt8(NEIGHBOUR_ADVERTISEMENT, 0)
  head.writeUInt32BE(OVERRIDE, 4)
  const option = Buffer.concat([Buffer.from([OPTION_TARGET_MAC, 1]), mac])
  return icmp(mac, target, addressBytes(ALL_NODES, 6), Buffer.concat([head, target, option]))
}

/** The claim of an ICMPv6 message (without IP header) that is a neighbour advertisement. */
export function neighbourClaim(message: Buffer): Claim | undefined {
  if (message.length < 24 || message.readUInt8(0) !== NEIGHBOUR_ADVERTISEMENT) return undefined
  const address = addressText(message.subarray(8, 24))
  for (let at = 24; at + 8 <= message.length; ) {
    const bytes = message.readUInt8(at + 1) * 8
    if (bytes === 0) break
    const kind = message.readUInt8(at)
    if (kind === OPTION_TARGET_MAC || kind === OPTION_SOURCE_MAC)
      return { address, mac: printMac(message.subarray(at + 2, at + 8)) }
    at += bytes
  }
  return { address, mac: 'unknown' }
}

export function printMac(mac: Buffer): string {
  return [...mac].map(byte => byte.toString(16).padStart(2, '0')).join(':')
}

function arp(mac: Buffer, operation: number, sender: string, target: string, targetMac: Buffer): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation])
  const pair = Buffer.concat([mac, addressBytes(sender, 4), targetMac, addressBytes(target, 4)])
  return ethernet(mac, BROADCAST, ETHERTYPE_ARP, Buffer.concat([head, pair]))
}

function icmp(mac: Buffer, from: Buffer, to: Buffer, message: Buffer): Buffer {
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, ICMPV6, 255])
  const length = Buffer.alloc(8)
  length.writeUInt32BE(message.length, 0)
  length.writeUInt32BE(ICMPV6, 4)
  const body = Buffer.from(message)
  body.writeUInt16BE(checksum(Buffer.concat([from, to, length, message])), 2)
  // The last four bytes of a multicast address, behind 33:33.
  const group = Buffer.concat([Buffer.from([0x33, 0x33]), to.subarray(12)])
  return ethernet(mac, group, ETHERTYPE_IPV6, Buffer.concat([header, from, to, body]))
}

function ethernet(mac: Buffer, to: Buffer, type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(type)
  return Buffer.concat([to, mac, head, payload])
}

/** The internet checksum (RFC 1071) of bytes in which its own place is zero. */
function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes.readUInt8(at) * 256 + (at + 1 < bytes.length ? bytes.readUInt8(at + 1) : 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
