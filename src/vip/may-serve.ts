// Whether a client may be served that came to one of this host's addresses.

import { isLinkLocal } from './address-scope.ts'
import type { AddressKeeper, VipAddress } from './addresses.ts'

/**
 * False for a virtual address that we hold no more: after a pause that is found out here, before a byte is answered.
 * `localAddress` as the socket tells it: IPv4 perhaps mapped, a link-local one with its interface (`fe80::1%eth0`).
 */
export function mayServe(keepers: readonly AddressKeeper[], localAddress: string): boolean {
  const [address, zone] = localAddress.replace(/^::ffff:(?=\d+\.)/, '').split('%')
  const asked = keepers.filter(({ addresses }) =>
    addresses.some(vip => vip.address === address && mayBeOn(zone, vip)),
  )
  return asked.length === 0 || asked.some(keeper => keeper.check())
}

/** An address that a command moves is on no interface that we know. */
function mayBeOn(zone: string | undefined, vip: VipAddress): boolean {
  if (vip.interfaceName === '') return false
  return zone === undefined || !isLinkLocal(vip) || vip.interfaceName === zone
}
