// The first packet of a client: bytes in, one of a few kinds out. Knows nothing of sockets, trusts nothing.

/** A first packet longer than this is refused; PostgreSQL's own limit is 10000. */
export const FIRST_PACKET_BYTES_MAX = 16 * 1024
/** A first packet behind the longest PROXY header. Whoever sends more before somebody takes it is not read meanwhile. */
export const EARLY_BYTES_MAX = FIRST_PACKET_BYTES_MAX + 8192

const REQUEST_MAJOR = 1234
const CANCEL_MINOR = 5678
const SSL_MINOR = 5679
const GSS_MINOR = 5680
const TLS_HANDSHAKE_RECORD = 0x16
/** Length word and code word. */
const HEADER_BYTES = 8
const CANCEL_KEY_BYTES_MAX = 256

export type FirstPacket =
  | { readonly kind: 'startup'; readonly major: number; readonly minor: number }
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gss-request' }
  /** TLS from the first byte on, without a request. */
  | { readonly kind: 'tls-hello' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: string }
  | { readonly kind: 'garbage'; readonly why: string }

/**
 * Reads the packet at the start of `bytes`; undefined while it is not complete. Never throws. Any minor version of
 * protocol 3 is accepted: the server and the client settle that between them.
 */
export function readFirstPacket(bytes: Buffer): FirstPacket | undefined {
  if (bytes.length === 0) return undefined
  if (bytes[0] === TLS_HANDSHAKE_RECORD) return { kind: 'tls-hello' }
  if (bytes.length < 4) return undefined
  const length = bytes.readUInt32BE(0)
  if (length < HEADER_BYTES || length > FIRST_PACKET_BYTES_MAX) {
    return { kind: 'garbage', why: 'invalid length of startup packet' }
  }
  if (bytes.length < length) return undefined
  return readBody(bytes.subarray(0, length))
}

function readBody(packet: Buffer): FirstPacket {
  const major = packet.readUInt16BE(4)
  const minor = packet.readUInt16BE(6)
  if (major !== REQUEST_MAJOR) {
    const isKnown = major === 2 || major === 3
    return isKnown ? { kind: 'startup', major, minor } : { kind: 'garbage', why: 'unknown protocol' }
  }
  if (minor === CANCEL_MINOR) return readCancel(packet)
  const isBare = packet.length === HEADER_BYTES
  if (minor === SSL_MINOR && isBare) return { kind: 'ssl-request' }
  if (minor === GSS_MINOR && isBare) return { kind: 'gss-request' }
  return { kind: 'garbage', why: 'unknown request' }
}

function readCancel(packet: Buffer): FirstPacket {
  const secretBytes = packet.length - 12
  if (secretBytes < 4 || secretBytes > CANCEL_KEY_BYTES_MAX) {
    return { kind: 'garbage', why: 'invalid length of cancel request' }
  }
  const secret = packet.toString('hex', 12)
  return { kind: 'cancel', processId: packet.readUInt32BE(8), secret }
}

/** The bytes of a cancel request, for sending it on. */
export function printCancel(processId: number, secret: string): Buffer {
  const key = Buffer.from(secret, 'hex')
  const packet = Buffer.alloc(12 + key.length)
  packet.writeUInt32BE(packet.length, 0)
  packet.writeUInt16BE(REQUEST_MAJOR, 4)
  packet.writeUInt16BE(CANCEL_MINOR, 6)
  packet.writeUInt32BE(processId, 8)
  key.copy(packet, 12)
  return packet
}
