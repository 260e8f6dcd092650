// Protocol bytes as clients and servers send them.

export function startup(parameters: Readonly<Record<string, string>>, minor = 0, major = 3): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`)
  const body = Buffer.from(`${pairs.join('')}\0`)
  return Buffer.concat([int32(8 + body.length), int16(major), int16(minor), body])
}

export function request(code: number): Buffer {
  return Buffer.concat([int32(8), int16(1234), int16(code)])
}

export function cancelRequest(processId: number, secret: Buffer): Buffer {
  return Buffer.concat([int32(12 + secret.length), int16(1234), int16(5678), int32(processId), secret])
}

export const sslRequest = request(5679)
export const gssRequest = request(5680)

/** A message of the server. */
export function message(type: string, body: Buffer | string = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(4 + bytes.length), bytes])
}

export const authOk = message('R', int32(0))
export const ready = message('Z', 'I')

export function parameter(name: string, value: string): Buffer {
  return message('S', `${name}\0${value}\0`)
}

export function keyData(processId: number, secret: Buffer): Buffer {
  return message('K', Buffer.concat([int32(processId), secret]))
}

export function errorMessage(code: string): Buffer {
  return message('E', `SFATAL\0VFATAL\0C${code}\0Mno\0\0`)
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** Every way to cut the bytes in two. */
export function* splits(bytes: Buffer): Generator<readonly [Buffer, Buffer]> {
  for (let at = 0; at <= bytes.length; at += 1) yield [bytes.subarray(0, at), bytes.subarray(at)]
}
