// From which address of an interface an instance sends. Pure.

import type { PresentAddress } from '../rtnetlink.ts'
import type { Family } from './family.ts'

/** The first address of the interface that none of this process's instances moves; of IPv6 the one of the link. */
export function senderOf(
  { index, family }: { readonly index: number | undefined; readonly family: Family },
  present: readonly PresentAddress[],
  virtual: ReadonlySet<string>,
): string | undefined {
  const isFit = (address: string) => family === 4 || /^fe[89ab]/.test(address)
  return present.find(
    one => one.index === index && one.family === family && !virtual.has(one.address) && isFit(one.address),
  )?.address
}
