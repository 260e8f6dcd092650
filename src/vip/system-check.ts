// What the system must offer before a virtual address is tried: told in one line each, with the cure.

import { readFile } from 'node:fs/promises'
import { UserError } from '../platform/errors.ts'
import type { VipAddress } from './addresses.ts'
import { type Link, type PresentAddress, presentOf } from './rtnetlink.ts'

const CAP_NET_ADMIN = 12n
const CAP_NET_RAW = 13n

/** Throws UserError when this process may not change addresses or announce them. */
export async function refuseWithoutCapabilities(): Promise<void> {
  const lacking = lackingCapabilities(await readFile('/proc/self/status', 'utf8'))
  if (lacking.length === 0) return
  throw new UserError(
    `vip: this process lacks ${lacking.join(' and ')}; with systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW, ` +
      'in a shell: setpriv --ambient-caps +net_admin,+net_raw --inh-caps +net_admin,+net_raw',
  )
}

/** Names of the two capabilities that are not in effect, from the text of /proc/PID/status. */
export function lackingCapabilities(status: string): readonly string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  const has = (bit: bigint) => ((effective >> bit) & 1n) === 1n
  return [...(has(CAP_NET_ADMIN) ? [] : ['CAP_NET_ADMIN']), ...(has(CAP_NET_RAW) ? [] : ['CAP_NET_RAW'])]
}

/**
 * Throws UserError when the virtual address is the only one of its interface: it is then the host's own, and to take it away
 * would cut the host off.
 */
export function refuseOnlyAddress(vip: VipAddress, link: Link, present: readonly PresentAddress[]): void {
  const here = present.filter(({ index, family }) => index === link.index && family === vip.family)
  const own = presentOf(vip, link.index, present)
  const others = here.filter(one => !own.includes(one) && !one.address.startsWith('fe80:'))
  if (others.length > 0 || own.length === 0) return
  throw new UserError(
    `vip: ${vip.address} is the only address of ${link.name}: a virtual address must be one more than the host's own`,
  )
}
