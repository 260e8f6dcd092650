// The one protocol message that the proxy itself says: an error.

/** SQLSTATEs that the proxy uses. */
export const sqlState = {
  cannotConnectNow: '57P03',
  adminShutdown: '57P01',
  tooManyConnections: '53300',
  protocolViolation: '08P01',
  connectionFailure: '08006',
} as const
export type SqlState = (typeof sqlState)[keyof typeof sqlState]

export interface FatalError {
  readonly code: SqlState
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

/** An ErrorResponse of severity FATAL, in a form that every protocol 3 client reads. */
export function printFatal(error: FatalError): Buffer {
  const fields = [`SFATAL`, `VFATAL`, `C${error.code}`, `M${error.message}`]
  if (error.detail !== undefined) fields.push(`D${error.detail}`)
  if (error.hint !== undefined) fields.push(`H${error.hint}`)
  const body = Buffer.from(`${fields.map(field => field.replaceAll('\0', ' ')).join('\0')}\0\0`, 'utf8')
  const packet = Buffer.alloc(5 + body.length)
  packet.write('E', 0, 'latin1')
  packet.writeUInt32BE(4 + body.length, 1)
  body.copy(packet, 5)
  return packet
}
