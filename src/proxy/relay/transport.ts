// Which transport carries the sessions: the setting `relay`, and whether the low-level one works here.

import type { Clock } from '../../platform/clock.ts'
import { UserError } from '../../platform/errors.ts'
import { openHandleTransport } from './handle.ts'
import { openNetTransport } from './net.ts'
import { testTransport } from './self-test.ts'
import type { Transport } from './wire.ts'

/** `auto`: the handles if they pass their test, else node:net. */
export const RELAYS = ['auto', 'net', 'handle'] as const
export type RelaySetting = (typeof RELAYS)[number]

export interface ChosenTransport {
  readonly transport: Transport
  /** Why it is not the low-level one, though that was wanted. */
  readonly fallback: string | undefined
}

/** Chooses and tries out. Throws UserError when the setting insists on handles that do not work here. */
export async function chooseTransport(
  clock: Clock,
  setting: RelaySetting,
  open: () => Transport | string = () => openHandleTransport(clock),
): Promise<ChosenTransport> {
  if (setting === 'net') return { transport: openNetTransport(clock), fallback: undefined }
  const opened = open()
  const wrong = typeof opened === 'string' ? opened : await testTransport(clock, opened)
  if (wrong === undefined && typeof opened !== 'string') return { transport: opened, fallback: undefined }
  const says = `the TCP handles of Node ${process.version} do not work as expected: ${wrong}`
  if (setting === 'handle') throw new UserError(`relay: handle: ${says}; take auto or net`)
  return { transport: openNetTransport(clock), fallback: says }
}
