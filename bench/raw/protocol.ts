// What the raw load says: a start-up packet as a router expects it, whose database names what the peer is to do, and the
// peer's greeting. Behind that both sides do what the name says.

/** `echo`: sends back what it gets. `down`: sends as fast as it is read. `up`: reads and forgets. */
export type RawMode = 'echo' | 'down' | 'up'

/** Authentication is fine, and the server is ready for queries: in clear text and idle, as a session after its login. */
export const greeting = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])

const NAME = 'database'

export function startup(mode: RawMode): Buffer {
  const body = Buffer.from(`user\0bench\0${NAME}\0${mode}\0\0`, 'latin1')
  const packet = Buffer.alloc(8 + body.length)
  packet.writeUInt32BE(packet.length, 0)
  packet.writeUInt32BE(3 << 16, 4)
  body.copy(packet, 8)
  return packet
}

/** Undefined while the packet is not whole. */
export function modeOf(packet: Buffer): RawMode | undefined {
  if (packet.length < 4 || packet.length < packet.readUInt32BE(0)) return undefined
  const [, name = ''] = new RegExp(`\\0${NAME}\\0(\\w+)\\0`).exec(packet.toString('latin1')) ?? []
  return name === 'down' || name === 'up' ? name : 'echo'
}
