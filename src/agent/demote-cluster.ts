// A cluster is told to follow another one. Its primary stops in order: everything that it acknowledged is in what it sends and
// archives last, its shutdown checkpoint too. It keeps the key, so that nobody else leads meanwhile, and comes back as a standby.

import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { drainFirst } from './demote.ts'
import { beforeStop } from './own-scripts.ts'
import { setSynchronousNames } from './synchronous.ts'
import { type MemoryUpdate, noUpdate } from './tasks.ts'
import type { WorkContext } from './work.ts'

const STOP_MS = 3_600_000

/** Ends with a server that is down. The lease is renewed meanwhile; if it is lost the fence ends the server as ever. */
export async function demoteCluster(context: WorkContext, signal: AbortSignal): Promise<MemoryUpdate> {
  const { parts, state, fence, watchdog, callbacks } = context
  state.isStopExpected = true
  await beforeStop(context, STOP_MS)
  const isFlushed = await drainFirst(context)
  const { stopped } = await parts.postgres.stop({
    mode: 'fast',
    checkpointFirst: !isFlushed,
    by: Deadline.in(parts.clock, STOP_MS),
  })
  if (!stopped) throw new HaError('E_STOP', 'the server could not be stopped: the cluster is not demoted yet')
  fence.disarm()
  // The key stays ours, but there is nothing any more that a reset would keep from being acknowledged.
  void watchdog.standDown()
  callbacks.stopped('demoted')
  await parts.postgres.archiveEnd?.(signal)
  if (state.synchronousNames.names !== undefined)
    await setSynchronousNames(context, undefined).catch(() => {})
  parts.events.record({
    kind: 'cluster-demoted',
    says: 'this cluster takes no writes any more: it follows another one',
  })
  return memory => ({
    ...noUpdate(memory),
    role: 'replica',
    cleanAgainst: undefined,
    failedStarts: 0,
    isOursToStart: true,
  })
}
