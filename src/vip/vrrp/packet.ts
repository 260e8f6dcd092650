// The advert of VRRP as bytes: version 2 (RFC 3768) and version 3 (RFC 5798, RFC 9568). Pure: knows no socket and no rule of
// who may send what. Layout: docs/contracts/vrrp.md.

import { addressText } from '../address-text.ts'
import { bytesOf, type Family, familyOf } from './family.ts'

export const VRRP_PROTOCOL = 112
const TYPE_ADVERT = 1
const HEAD_BYTES = 8
/** Version 2 ends with a field for a password, whether there is one or not. */
const AUTH_BYTES = 8
const V3_INTERVAL_MAX = 0xfff
/** The count of addresses is one byte. */
export const ADDRESSES_MAX = 255

/**
 * Passwords of version 2: none, or eight bytes in clear text, a character for each. `other` stands for types that nobody speaks
 * any more.
 */
export type Auth =
  | { readonly kind: 'none' }
  | { readonly kind: 'pass'; readonly password: string }
  | { readonly kind: 'other'; readonly type: number }

/** What one advert says. */
export interface Advert {
  readonly version: 2 | 3
  readonly routerId: number
  /** 255: the owner of the addresses; 0: the sender gives up. */
  readonly priority: number
  /** Whole seconds in version 2, hundredths of a second (40.95 s at most) in version 3. */
  readonly intervalMs: number
  readonly auth: Auth
  readonly addresses: readonly string[]
}

/** The addresses of the packet around it: version 3 has them in its checksum. */
export interface Envelope {
  readonly source: string
  readonly destination: string
}

/** Does the checksum of version 3 on IPv4 include a pseudo header? keepalived: yes, RFC 9568: no. */
export type ChecksumKind = 'pseudo-header' | 'message'

export type Decoded =
  | { readonly advert: Advert; readonly checksum: ChecksumKind }
  | { readonly advert: undefined; readonly reason: string }

/** Bytes of an advert. `password` beyond eight bytes is cut, as everywhere. Throws RangeError for values that have no bytes. */
export function encodeAdvert(advert: Advert, envelope: Envelope, checksum: ChecksumKind): Buffer {
  const { version, routerId, priority, addresses } = advert
  check(routerId >= 1 && routerId <= 255, `router id ${routerId}`)
  check(priority >= 0 && priority <= 255, `priority ${priority}`)
  check(addresses.length <= ADDRESSES_MAX, `${addresses.length} addresses`)
  const list = addresses.map(bytesOf)
  const bytes = Buffer.concat([
    Buffer.alloc(HEAD_BYTES),
    ...list,
    Buffer.alloc(version === 2 ? AUTH_BYTES : 0),
  ])
  bytes[0] = (version << 4) | TYPE_ADVERT
  bytes[1] = routerId
  bytes[2] = priority
  bytes[3] = addresses.length
  if (version === 2) writeSecondVersion(bytes, advert)
  else {
    const hundredths = Math.round(advert.intervalMs / 10)
    check(hundredths >= 1 && hundredths <= V3_INTERVAL_MAX, `interval of ${advert.intervalMs} ms`)
    bytes.writeUInt16BE(hundredths, 4)
  }
  bytes.writeUInt16BE(checksumOf(bytes, envelope, version === 2 ? 'message' : checksum), 6)
  return bytes
}

function writeSecondVersion(bytes: Buffer, { auth, intervalMs }: Advert): void {
  const seconds = intervalMs / 1000
  check(Number.isInteger(seconds) && seconds >= 1 && seconds <= 255, `interval of ${intervalMs} ms`)
  bytes[4] = auth.kind === 'none' ? 0 : auth.kind === 'pass' ? 1 : auth.type
  bytes[5] = seconds
  if (auth.kind === 'pass') {
    Buffer.from(auth.password, 'latin1').copy(bytes, bytes.length - AUTH_BYTES, 0, AUTH_BYTES)
  }
}

function check(isFine: boolean, what: string): void {
  if (!isFine) throw new RangeError(`an advert cannot carry: ${what}`)
}

/** Reads what stands behind the IP header. Never throws: what is no advert comes with the reason. */
export function decodeAdvert(bytes: Buffer, envelope: Envelope): Decoded {
  if (bytes.length < HEAD_BYTES) return wrong(`${bytes.length} bytes are too short for an advert`)
  const version = bytes.readUInt8(0) >> 4
  const type = bytes.readUInt8(0) & 0xf
  if (version !== 2 && version !== 3) return wrong(`version ${version} is not known`)
  if (type !== TYPE_ADVERT) return wrong(`type ${type} is no advert`)
  const family = familyOf(envelope.destination)
  if (version === 2 && family === 6) return wrong('version 2 does not exist on IPv6')
  const count = bytes.readUInt8(3)
  const addressLength = family === 4 ? 4 : 16
  const needed = HEAD_BYTES + count * addressLength + (version === 2 ? AUTH_BYTES : 0)
  if (bytes.length < needed) return wrong(`${bytes.length} bytes are too short for ${count} addresses`)
  // What follows is no part of the message: some networks pad.
  const message = bytes.subarray(0, needed)
  const checksum = fittingChecksum(message, envelope, version, family)
  if (checksum === undefined) return wrong('the checksum is wrong')
  const advert: Advert = {
    version,
    routerId: message.readUInt8(1),
    priority: message.readUInt8(2),
    intervalMs:
      version === 2 ? message.readUInt8(5) * 1000 : (message.readUInt16BE(4) & V3_INTERVAL_MAX) * 10,
    auth: version === 2 ? readAuth(message) : { kind: 'none' },
    addresses: Array.from({ length: count }, (_, index) => {
      const start = HEAD_BYTES + index * addressLength
      return addressText(message.subarray(start, start + addressLength))
    }),
  }
  return { advert, checksum }
}

function wrong(reason: string): Decoded {
  return { advert: undefined, reason }
}

function readAuth(message: Buffer): Auth {
  const type = message.readUInt8(4)
  if (type === 0) return { kind: 'none' }
  if (type !== 1) return { kind: 'other', type }
  const password = message.toString('latin1', message.length - AUTH_BYTES).replace(/\0+$/, '')
  return { kind: 'pass', password }
}

/** Whether the checksum of version 3 on IPv4 has a pseudo header was unclear for years: both are taken. */
function fittingChecksum(
  message: Buffer,
  envelope: Envelope,
  version: 2 | 3,
  family: Family,
): ChecksumKind | undefined {
  const said = message.readUInt16BE(6)
  const kinds: readonly ChecksumKind[] =
    version === 2 ? ['message'] : family === 6 ? ['pseudo-header'] : ['pseudo-header', 'message']
  return kinds.find(kind => checksumOf(message, envelope, kind) === said)
}

/** The Internet checksum of a message, with zero where the checksum itself stands. */
function checksumOf(message: Buffer, envelope: Envelope, kind: ChecksumKind): number {
  let sum = kind === 'message' ? 0 : sumOf(pseudoHeader(envelope, message.length))
  sum += sumOf(message) - message.readUInt16BE(6)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function pseudoHeader({ source, destination }: Envelope, length: number): Buffer {
  const [from, to] = [bytesOf(source), bytesOf(destination)]
  // IPv6 has 32 bits for the length and the protocol each, IPv4 16.
  const rest = from.length === 4 ? Buffer.alloc(4) : Buffer.alloc(8)
  rest.writeUInt16BE(length, 2)
  rest[rest.length === 4 ? 1 : 7] = VRRP_PROTOCOL
  return Buffer.concat([from, to, rest])
}

function sumOf(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  return bytes.length % 2 === 0 ? sum : sum + ((bytes[bytes.length - 1] ?? 0) << 8)
}
