// Stops being a primary. Graceful: nothing acknowledged may be missing on the one who takes over. Immediate: stop first.

import type { Lsn } from '../cluster/lsn.ts'
import { printStatus } from '../cluster/status.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Demotion } from './decision.ts'
import { walPosition } from './race.ts'
import type { MemoryUpdate } from './tasks.ts'
import { candidateUrls, type WorkContext } from './work.ts'

const IMMEDIATE_STOP_MS = 5_000
const FAST_STOP_MS = 3_600_000
const HANDOVER_POLL_MS = 50
const HANDOVER_ASK_MS = 1_000
const RELEASE_MS = 5_000

/** Stops the server and, if asked to, gives the leader key away as soon as that is safe. */
export async function demote(context: WorkContext, demotion: Demotion): Promise<MemoryUpdate> {
  const { parts, state, fence } = context
  const stopped = new AbortController()
  state.isStopExpected = true
  const isGraceful = demotion.mode === 'graceful'
  let handedOver: Promise<void> | undefined
  const positionBefore = state.server.facts === undefined ? undefined : walPosition(state.server.facts)
  const result = await parts.postgres.stop({
    mode: isGraceful ? 'fast' : 'immediate',
    checkpointFirst: isGraceful,
    by: Deadline.in(parts.clock, isGraceful ? FAST_STOP_MS : IMMEDIATE_STOP_MS),
    ...(isGraceful && demotion.release
      ? {
          onShutDown: checkpointLsn => {
            handedOver = handOver(context, demotion, checkpointLsn, positionBefore, stopped.signal)
          },
        }
      : {}),
  })
  // A server that ends in order has sent everything, the checkpoint included, to each standby that was connected.
  stopped.abort(new Error('the server has stopped'))
  await handedOver
  if (result.stopped) {
    fence.disarm()
    if (demotion.release) await release(context, positionBefore)
  }
  return memory => ({ ...memory, role: 'demoted', cleanAgainst: undefined, failedStarts: 0 })
}

/** Once a candidate has the shutdown checkpoint, the key can go though archiving may still keep the server busy. */
async function handOver(
  context: WorkContext,
  demotion: Demotion,
  checkpointLsn: Lsn,
  positionBefore: Lsn | undefined,
  stopped: AbortSignal,
): Promise<void> {
  const { parts, state, fence } = context
  while (!stopped.aborted) {
    const view = state.lastView
    if (view === undefined) return
    const urls = candidateUrls(view, parts.local.name, demotion.candidate)
    const answers = await parts.askPeers(urls, Deadline.in(parts.clock, HANDOVER_ASK_MS))
    if (answers.some(peer => peer.isReachable && (peer.walPosition ?? 0n) > checkpointLsn)) {
      // The control file says "shut down": no backend is left that could acknowledge anything.
      fence.disarm()
      await release(context, positionBefore)
      return
    }
    await parts.clock.sleep(HANDOVER_POLL_MS, stopped).catch(() => {})
  }
}

/** The published position is the one before the shutdown checkpoint, so that a clean replica is not seen as lagging. */
async function release(
  { parts, state, keeper }: WorkContext,
  positionBefore: Lsn | undefined,
): Promise<void> {
  if (keeper.hold === undefined) return
  // Whoever asks us from now on must not take us for a primary that still runs.
  state.server = { ...state.server, process: 'stopping', facts: undefined }
  const status = state.lastView?.status
  const writes =
    status === undefined || positionBefore === undefined
      ? []
      : [{ kind: 'put', key: 'status', value: printStatus({ ...status, optime: positionBefore }) } as const]
  const outcome = await keeper.release(Deadline.in(parts.clock, RELEASE_MS), writes)
  parts.log.info(
    outcome === 'won'
      ? 'released leader key'
      : `leader key not released (${outcome}): it ends with its lease`,
  )
}
