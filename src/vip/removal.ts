// Takes addresses off this host, connections first. Synchronous: it must be over before anybody else may add them.

import { messageOf } from '../platform/errors.ts'
import type { VipAddress } from './addresses.ts'
import { resetConnections } from './connections.ts'
import { presentOf, Rtnetlink } from './rtnetlink.ts'

/** What became of addresses that had to go: a line for each that was there. */
export interface Removal {
  readonly removed: readonly string[]
  /** What may still be there, and why. */
  readonly failed: readonly string[]
}

/**
 * Removes what is there of these addresses, whatever its prefix length: each by itself, so that one that stays does not keep the
 * others here. Never throws. `open`: a socket to use, for a process that may have no descriptor left for another one.
 */
export function removeAddresses(addresses: readonly VipAddress[], open?: Rtnetlink): Removal {
  const removed: string[] = []
  const failed: string[] = []
  let own: Rtnetlink | undefined
  for (const vip of addresses) {
    try {
      own ??= open ?? new Rtnetlink()
      const line = removeOne(own, vip)
      if (line !== undefined) removed.push(line)
    } catch (error) {
      failed.push(`cannot remove ${vip.address} from ${vip.interfaceName}: ${messageOf(error)}`)
    }
  }
  if (own !== open) own?.close()
  return { removed, failed }
}

/** Undefined when it was not there. */
function removeOne(netlink: Rtnetlink, vip: VipAddress): string | undefined {
  const link = netlink.link(vip.interfaceName)
  const present = () => presentOf(vip, link?.index, netlink.addresses())
  const found = present()
  if (found.length === 0) return undefined
  const resets = quietly(() => resetConnections(vip, link?.index))
  for (const one of found) netlink.remove(one)
  const left = present().map(({ prefixLength }) => `/${prefixLength}`)
  if (left.length > 0) throw new Error(`it is still there (${left.join(', ')})`)
  return removedLine(vip, resets)
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
