// Takes addresses off this host, connections first. Synchronous: it must be over before anybody else may add them.

import { messageOf } from '../platform/errors.ts'
import type { VipAddress } from './addresses.ts'
import { resetConnections } from './connections.ts'
import { Rtnetlink } from './rtnetlink.ts'

/**
 * Removes what is there of these addresses. Returns lines about what was done or could not be done; empty when none was
 * there. Never throws.
 */
export function removeAddresses(addresses: readonly VipAddress[]): readonly string[] {
  const lines: string[] = []
  try {
    const netlink = new Rtnetlink()
    try {
      const present = new Set(netlink.addresses().map(({ index, address }) => `${index} ${address}`))
      for (const vip of addresses) {
        const link = netlink.link(vip.interfaceName)
        if (link === undefined || !present.has(`${link.index} ${vip.address}`)) continue
        const resets = quietly(() => resetConnections(vip))
        if (netlink.remove(link, vip)) lines.push(removedLine(vip, resets))
      }
    } finally {
      netlink.close()
    }
  } catch (error) {
    lines.push(`cannot remove ${addresses.map(({ address }) => address).join(', ')}: ${messageOf(error)}`)
  }
  return lines
}

function removedLine({ address, interfaceName }: VipAddress, resets: number | undefined): string {
  const connections = resets === undefined || resets === 0 ? '' : `, ${resets} connections reset`
  return `removed ${address} from ${interfaceName}${connections}`
}

/** Connections that cannot be reset must not keep the address here. */
function quietly<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
