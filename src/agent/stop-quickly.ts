// The server ends at once, because what it would still do is wrong or of no use.

import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import type { WorkContext } from './work.ts'

const STOP_TIMEOUT_MS = 10_000

/** Ends our server at once, whoever is connected. Throws E_STOP when a process of it is stuck. */
export async function stopQuickly({ parts, fence, state, watchdog, callbacks }: WorkContext): Promise<void> {
  state.isStopExpected = true
  const wasStopped = state.server.process === 'stopped'
  const by = Deadline.in(parts.clock, STOP_TIMEOUT_MS)
  const { stopped } = await parts.postgres.stop({ mode: 'immediate', checkpointFirst: false, by })
  if (!stopped) throw new HaError('E_STOP', 'a process of the server is stuck and cannot be ended')
  fence.disarm()
  void watchdog.standDown()
  if (!wasStopped) callbacks.stopped()
}
