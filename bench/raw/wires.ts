// The connections of the raw load: the program's own low-level ones, so that client and server cost as little as they can.

import { realClock } from '../../src/platform/clock.ts'
import { chooseTransport } from '../../src/proxy/relay/transport.ts'

/** Keeps node:net out of the measurement; falls back to it all the same where it must. */
export const { transport } = await chooseTransport(realClock, 'auto')

/** Monotonic time that means the same in every process of this machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
