// Where an address is one and the same: on the whole host, or, a link-local one, on its interface alone. Pure.

import { addressBytes } from './address-text.ts'
import type { VipAddress } from './addresses.ts'

/** fe80::/10: each link has its own, and `fe80::1` on several VLANs is usual for gateways. */
export function isLinkLocal({ address, family }: Pick<VipAddress, 'address' | 'family'>): boolean {
  if (family === 4) return false
  const bytes = addressBytes(address, 6)
  return bytes.readUInt8(0) === 0xfe && (bytes.readUInt8(1) & 0xc0) === 0x80
}

/** What one process of a host alone may keep: the addresses, a link-local one with its interface. */
export function lockNames(addresses: readonly VipAddress[]): readonly string[] {
  return addresses.map(vip => {
    const { address, interfaceName } = vip
    return interfaceName !== '' && isLinkLocal(vip) ? `${address}%${interfaceName}` : address
  })
}
