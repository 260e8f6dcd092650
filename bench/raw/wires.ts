// The connections of the raw load: the program's own low-level ones, so that client and server cost as little as they can.

import { realClock } from '../../src/platform/clock.ts'
import { chooseTransport } from '../../src/proxy/relay/transport.ts'

/** Keeps node:net out of the measurement; falls back to it all the same where it must. */
export const { transport } = await chooseTransport(realClock, 'auto')
