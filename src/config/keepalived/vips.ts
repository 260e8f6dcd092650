// The instances of a keepalived.conf as virtual IPs of this process. Pure.

import { isIPv6 } from 'node:net'
import type { VrrpVipConfig } from '../vip/types.ts'
import type { KeepalivedConfig } from './types.ts'

/** A virtual IP for each instance. `taken`: names that others have; an instance of such a name gets its router id added. */
export function vipsOf(
  config: KeepalivedConfig,
  taken: ReadonlySet<string> = new Set(),
): readonly VrrpVipConfig[] {
  return config.instances.map(instance => {
    const { name, routerId, priority, advertMs, missingAdverts, trackedChecks } = instance
    const tracked = new Set(trackedChecks.map(({ check }) => check))
    return {
      driver: 'vrrp',
      name: taken.has(name) ? `${name}-${routerId}` : name,
      follow: 'proxy',
      member: undefined,
      priority,
      addresses: [...instance.addresses, ...instance.excluded].map(address => ({
        ...address,
        family: isIPv6(address.address) ? 6 : 4,
      })),
      // Peers wait so long at least; a pause beyond it may have cost us the mastership.
      stallMs: advertMs * missingAdverts,
      instance,
      checks: [...config.checks.values()].filter(check => tracked.has(check.name)),
      startDelayMs: config.startDelayMs,
    }
  })
}
