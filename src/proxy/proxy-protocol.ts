// The PROXY protocol, versions 1 and 2: reading the header that a proxy before us puts in front, printing the one that
// we put in front. Bytes only; knows no socket. Contract: docs/contracts/proxy-protocol.md.

import { addressBytes } from '../config/proxy/access.ts'

/** Whose connection it is. */
export interface Endpoints {
  readonly source: string
  readonly sourcePort: number
  readonly target: string
  readonly targetPort: number
}

/**
 * `header`: what it says, and how many bytes it took. `endpoints` is undefined when it speaks for nobody (a health
 * check of the sender's own). `wrong`: no header, the connection must be closed.
 */
export type ProxyHeader =
  | { readonly kind: 'header'; readonly bytes: number; readonly endpoints: Endpoints | undefined }
  | { readonly kind: 'wrong'; readonly why: string }

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V1_BYTES_MAX = 107
/** Longer ones are refused: nobody sends that much about an address. */
const V2_BYTES_MAX = 4096
const V2_FIXED_BYTES = 16

/** Reads the header at the start of `bytes`; undefined while it is not complete. Never throws. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  const known = Math.min(bytes.length, SIGNATURE.length)
  if (known === 0) return undefined
  if (bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) {
    return known < SIGNATURE.length ? undefined : readV2(bytes)
  }
  return readV1(bytes)
}

function readV1(bytes: Buffer): ProxyHeader | undefined {
  const text = bytes.subarray(0, V1_BYTES_MAX).toString('latin1')
  const end = text.indexOf('\r\n')
  if (!'PROXY '.startsWith(text.slice(0, 6)) && !text.startsWith('PROXY ')) return wrong('no PROXY header')
  if (end < 0) return bytes.length >= V1_BYTES_MAX ? wrong('a PROXY header without an end') : undefined
  const match = /^PROXY (?:UNKNOWN(?: .*)?|(TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5}))$/.exec(
    text.slice(0, end),
  )
  if (match === null) return wrong('a malformed PROXY header')
  const [, family, source = '', target = '', sourcePort, targetPort] = match
  if (family === undefined) return { kind: 'header', bytes: end + 2, endpoints: undefined }
  const isV6 = family === 'TCP6'
  const isValid = [source, target].every(one => addressBytes(one) !== undefined && one.includes(':') === isV6)
  const ports = [Number(sourcePort), Number(targetPort)]
  if (!isValid || ports.some(port => port > 65_535)) return wrong('a malformed address in a PROXY header')
  const endpoints = { source, target, sourcePort: ports[0] ?? 0, targetPort: ports[1] ?? 0 }
  return { kind: 'header', bytes: end + 2, endpoints }
}

function readV2(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length < V2_FIXED_BYTES) return undefined
  const version = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const length = bytes.readUInt16BE(14)
  if (version >> 4 !== 2) return wrong('an unknown version of the PROXY header')
  if (length > V2_BYTES_MAX) return wrong('a PROXY header that is too long')
  const command = version & 0x0f
  if (command > 1) return wrong('an unknown command in a PROXY header')
  if (bytes.length < V2_FIXED_BYTES + length) return undefined
  const body = bytes.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + length)
  const total = V2_FIXED_BYTES + length
  // LOCAL, or a family that is no address of ours (unix, unspecified): the connection's own address counts.
  const addressLength = family === 0x11 ? 4 : family === 0x21 ? 16 : undefined
  if (command === 0 || addressLength === undefined)
    return { kind: 'header', bytes: total, endpoints: undefined }
  if (length < 2 * addressLength + 4) return wrong('a PROXY header that is too short for its addresses')
  return {
    kind: 'header',
    bytes: total,
    endpoints: {
      source: printAddress(body.subarray(0, addressLength)),
      target: printAddress(body.subarray(addressLength, 2 * addressLength)),
      sourcePort: body.readUInt16BE(2 * addressLength),
      targetPort: body.readUInt16BE(2 * addressLength + 2),
    },
  }
}

function wrong(why: string): ProxyHeader {
  return { kind: 'wrong', why }
}

function printAddress(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.')
  const words: string[] = []
  for (let at = 0; at < 16; at += 2) words.push(bytes.readUInt16BE(at).toString(16))
  return words.join(':')
}

/** The header for a connection; without endpoints one that speaks for nobody. */
export function printProxyHeader(version: 'v1' | 'v2', endpoints: Endpoints | undefined): Buffer {
  const known = endpoints === undefined ? undefined : sameFamily(endpoints)
  return version === 'v1' ? printV1(known) : printV2(known)
}

interface SameFamily extends Endpoints {
  readonly isV6: boolean
}

/** Both addresses in one family: IPv4 where both are (mapped ones too), otherwise IPv6. */
function sameFamily(endpoints: Endpoints): SameFamily | undefined {
  const source = addressBytes(endpoints.source)
  const target = addressBytes(endpoints.target)
  if (source === undefined || target === undefined) return undefined
  const isV4 = [source, target].every(bytes => bytes.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255')
  const print = (bytes: readonly number[]) => printAddress(Buffer.from(isV4 ? bytes.slice(12) : bytes))
  return { ...endpoints, source: print(source), target: print(target), isV6: !isV4 }
}

function printV1(endpoints: SameFamily | undefined): Buffer {
  if (endpoints === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const { source, target, sourcePort, targetPort, isV6 } = endpoints
  const family = isV6 ? 'TCP6' : 'TCP4'
  return Buffer.from(`PROXY ${family} ${source} ${target} ${sourcePort} ${targetPort}\r\n`, 'latin1')
}

function printV2(endpoints: SameFamily | undefined): Buffer {
  if (endpoints === undefined) return Buffer.concat([SIGNATURE, Buffer.from([0x20, 0x00, 0, 0])])
  const { source, target, sourcePort, targetPort, isV6 } = endpoints
  const skip = isV6 ? 0 : 12
  const addresses = [source, target].flatMap(one => (addressBytes(one) ?? []).slice(skip))
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(sourcePort, 0)
  ports.writeUInt16BE(targetPort, 2)
  const head = Buffer.from([0x21, isV6 ? 0x21 : 0x11, 0, addresses.length + 4])
  return Buffer.concat([SIGNATURE, head, Buffer.from(addresses), ports])
}
