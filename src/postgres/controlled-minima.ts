// A standby must not have less of what its primary had: PostgreSQL would refuse to start.

import type { Deadline } from '../platform/deadline.ts'
import type { Context } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'

/** The parameters that are smaller than their last primary had them, with the primary's values. */
export async function raisedToPrimary(
  context: Context,
  lifecycle: Lifecycle,
  by: Deadline,
): Promise<Readonly<Record<string, string>>> {
  const raised: Record<string, string> = {}
  const wanted = context.commandLine()
  const minima = (await lifecycle.controlFile(by))?.primarySettings ?? {}
  for (const [name, minimum] of Object.entries(minima)) {
    const value = wanted[name]
    if (value === undefined || Number(value) >= minimum) continue
    context.log.warning(
      `starting with ${name} = ${minimum} instead of ${value}: the primary had it, a standby needs it`,
    )
    raised[name] = String(minimum)
  }
  return raised
}
