// TCP connections of an address that goes away: their peers get a reset while it can still be sent (sock_diag(7)). Without
// one a client that only waits would wait until its own keepalive finds out.

import { isLinkLocal } from './address-scope.ts'
import { addressBytes } from './address-text.ts'
import type { VipAddress } from './addresses.ts'
import { NativeSocket } from './native-socket.ts'
import {
  AF_NETLINK,
  ask,
  attribute,
  NetlinkError,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  SOCK_RAW,
} from './netlink.ts'

const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const SOCK_DESTROY = 21
const IPPROTO_TCP = 6
const AF_INET = 2
const AF_INET6 = 10
const INET_DIAG_REQ_BYTECODE = 1
const INET_DIAG_BC_S_COND = 7
const REQUEST_BYTES = 56
const ID_BYTES = 48
/** Within an id, behind ports and addresses: the interface that the connection is bound to, as all link-local ones are. */
const ID_LINK_AT = 36
/** Everything but LISTEN, TIME_WAIT, CLOSE and half-made ones: bits by the kernel's numbers of states. */
const STATES = (1 << 1) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 9) | (1 << 11)

/**
 * Resets every TCP connection whose own end is the address, of a link-local one those of its link alone; returns how many, or
 * undefined when this kernel cannot (CONFIG_INET_DIAG_DESTROY). Throws SystemCallError without CAP_NET_ADMIN.
 */
export function resetConnections(vip: VipAddress, linkIndex: number | undefined): number | undefined {
  const { address, family } = vip
  const isMeant = (id: Buffer) => !isLinkLocal(vip) || id.readUInt32LE(ID_LINK_AT) === linkIndex
  const socket = new NativeSocket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
  try {
    // A socket that listens on `::` carries IPv4 as mapped addresses, in the other family's table.
    const tables = family === 4 ? [AF_INET, AF_INET6] : [AF_INET6]
    let count = 0
    for (const table of tables) {
      const ids = connections(socket, table, address, family).filter(isMeant)
      for (const id of ids) if (destroy(socket, table, id)) count += 1
    }
    return count
  } catch (error) {
    if (error instanceof NetlinkError) return undefined
    throw error
  } finally {
    socket.close()
  }
}

function connections(socket: NativeSocket, table: number, address: string, family: 4 | 6): readonly Buffer[] {
  const condition = attribute(INET_DIAG_REQ_BYTECODE, sourceIs(address, family))
  const body = Buffer.concat([request(table, STATES, Buffer.alloc(ID_BYTES)), condition])
  const flags = NLM_F_REQUEST | NLM_F_DUMP
  return ask(socket, { type: SOCK_DIAG_BY_FAMILY, flags, body }, 'connections')
    .filter(({ body: found }) => found.length >= 4 + ID_BYTES)
    .map(({ body: found }) => found.subarray(4, 4 + ID_BYTES))
}

function destroy(socket: NativeSocket, table: number, id: Buffer): boolean {
  try {
    const flags = NLM_F_REQUEST | NLM_F_ACK
    ask(socket, { type: SOCK_DESTROY, flags, body: request(table, STATES, id) }, 'reset')
    return true
  } catch (error) {
    // It ended by itself meanwhile.
    if (error instanceof NetlinkError && error.errnoName === 'ENOENT') return false
    throw error
  }
}

function request(table: number, states: number, id: Buffer): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES)
  bytes.writeUInt8(table, 0)
  bytes.writeUInt8(IPPROTO_TCP, 1)
  bytes.writeUInt32LE(states, 4)
  id.copy(bytes, 8)
  return bytes
}

/** The kernel's own little filter: one condition on the source address; no match jumps behind the end. */
function sourceIs(address: string, family: 4 | 6): Buffer {
  const bytes = addressBytes(address, family)
  const length = 4 + 8 + bytes.length
  const code = Buffer.alloc(length)
  code.writeUInt8(INET_DIAG_BC_S_COND, 0)
  code.writeUInt8(length, 1)
  code.writeUInt16LE(length + 4, 2)
  code.writeUInt8(family === 4 ? AF_INET : AF_INET6, 4)
  code.writeUInt8(bytes.length * 8, 5)
  // Any port.
  code.writeInt32LE(-1, 8)
  bytes.copy(code, 12)
  return code
}
