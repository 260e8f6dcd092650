// Stops being a primary. Graceful: nothing acknowledged may be missing on the one who takes over. Immediate: stop first.

import type { Lsn } from '../cluster/lsn.ts'
import { registeredProxies } from '../cluster/registration.ts'
import { emptyRequest } from '../cluster/request.ts'
import { printStatus } from '../cluster/status.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import { Deadline } from '../platform/deadline.ts'
import type { StopResult } from '../postgres/port.ts'
import type { Demotion } from './decision.ts'
import { drain } from './drain.ts'
import { beforeStop } from './own-scripts.ts'
import type { AgentParts } from './parts.ts'
import { syncPromise, walPosition } from './race.ts'
import { includesName } from './sync/names.ts'
import { unchanged } from './synchronous.ts'
import type { MemoryUpdate } from './tasks.ts'
import { candidateUrls, type WorkContext } from './work.ts'

const IMMEDIATE_STOP_MS = 5_000
const FAST_STOP_MS = 3_600_000
const HANDOVER_POLL_MS = 20
const HANDOVER_ASK_MS = 1_000
/** A standby that streamed until the end has everything by then; it only has to say so. */
const AFTER_STOP_MS = 3_000
const RELEASE_MS = 5_000
/** Before an ordered change. The stop makes one of its own if this one does not end. */
const CHECKPOINT_MS = 30_000

const demoted: MemoryUpdate = memory => ({
  ...memory,
  role: 'demoted',
  cleanAgainst: undefined,
  failedStarts: 0,
  isOursToStart: true,
})
/** The server comes back in place: nobody has what it wrote last. */
const backInPlace: MemoryUpdate = memory => ({ ...memory, role: 'primary', isOursToStart: true })

/** Stops the server and, if asked to, gives the leader key away as soon as that is safe. */
export async function demote(context: WorkContext, demotion: Demotion): Promise<MemoryUpdate> {
  const { parts, state, fence, watchdog, callbacks } = context
  const stopped = new AbortController()
  const orderModRevision = state.lastView?.requestModRevision
  state.isStopExpected = true
  const isGraceful = demotion.mode === 'graceful'
  let handedOver: Promise<void> | undefined
  const wasStopped = state.server.process === 'stopped'
  if (isGraceful) await beforeStop(context, gracefulStopMs(context))
  const isOrdered = state.lastView?.request !== undefined
  const isPrepared = isGraceful && demotion.release && isOrdered && (await drainFirst(context))
  const positionBefore = state.server.facts === undefined ? undefined : walPosition(state.server.facts)
  const result = await parts.postgres.stop({
    mode: isGraceful ? 'fast' : 'immediate',
    checkpointFirst: isGraceful && !isPrepared,
    by: Deadline.in(parts.clock, isGraceful ? gracefulStopMs(context) : IMMEDIATE_STOP_MS),
    ...(isGraceful && demotion.release
      ? {
          onShutDown: checkpointLsn => {
            handedOver = handOver(context, demotion, checkpointLsn, positionBefore, stopped.signal)
          },
        }
      : {}),
  })
  stopped.abort(new Error('the server has stopped'))
  await handedOver
  if (!result.stopped) {
    // What is left has SIGKILL pending and is stuck in the kernel: it never runs a step of its own again, so it acknowledges
    // nothing. An ordered change waits; a leader that gives way would otherwise keep the key as long as its storage hangs.
    if (demotion.mode === 'immediate' && demotion.release) {
      parts.log.critical(
        'processes of the server are stuck in the kernel and cannot be ended: the key is given up all the same',
      )
      fence.disarm()
      await release(context, undefined)
    }
    return demoted
  }
  fence.disarm()
  void watchdog.standDown()
  // An ordered change of the leader is told as one: by then the key may belong to somebody else.
  if (!wasStopped) callbacks.stopped(demotion.heirs === undefined ? undefined : 'demoted')
  if (!demotion.release) return demoted
  if (demotion.heirs !== undefined && !(await isSafeToGo(context, demotion.heirs, result))) {
    return await refuse(context, orderModRevision)
  }
  await release(context, positionBefore)
  return demoted
}

/** In a synchronous mode a stop that takes too long may be cut short: whoever takes over has every commit. */
function gracefulStopMs({ state }: WorkContext): number {
  const { synchronousMode, primaryStopTimeoutSeconds } = state.config
  return synchronousMode === 'off' || primaryStopTimeoutSeconds === 0
    ? FAST_STOP_MS
    : primaryStopTimeoutSeconds * 1000
}

/**
 * A change that was ordered gives transactions time to finish; nothing depends on it. Returns whether a checkpoint was made
 * on the way: what became dirty in the seconds of the drain does not need another one.
 */
export async function drainFirst({ parts, state, keeper }: WorkContext): Promise<boolean> {
  const { clock, log, dcs, postgres } = parts
  const { hold } = keeper
  const { endIdleSessions } = postgres
  if (hold === undefined || endIdleSessions === undefined) return false
  // The checkpoint's writes are done while sessions still work: the stop itself is then short.
  const isFlushed = await postgres.checkpoint(Deadline.in(clock, CHECKPOINT_MS))
  const announce = (value: string, by: Deadline) =>
    writeAsLeader(dcs, hold, [{ kind: 'put', key: 'pgherd/closing', value }], by)
  await drain(
    {
      clock,
      log,
      announce,
      proxies: async by => registeredProxies(await dcs.read(by)),
      onLate: (names, waitedMs) => tellLate(parts, names, waitedMs),
      endIdle: by => endIdleSessions.call(postgres, by),
    },
    hold.createRevision,
    state.config.drainTimeoutSeconds * 1000,
  )
  return isFlushed
}

/** Clients of such a proxy may meet the stop of the server; whether it lives at all is not known here. */
function tellLate({ events, metrics }: AgentParts, names: readonly string[], waitedMs: number): void {
  metrics.proxiesLate(names.length)
  events.record({
    kind: 'proxies-late',
    says: `${names.join(', ')} did not answer within ${waitedMs} ms that new sessions are held: the change goes on without`,
  })
}

/** Once an heir has the shutdown checkpoint, the key can go though archiving may still keep the server busy. */
async function handOver(
  context: WorkContext,
  demotion: Demotion,
  checkpointLsn: Lsn,
  positionBefore: Lsn | undefined,
  stopped: AbortSignal,
): Promise<void> {
  const { parts, fence, watchdog } = context
  while (!stopped.aborted) {
    if (await hasHeir(context, demotion.heirs, checkpointLsn)) {
      // The control file says "shut down": no backend is left that could acknowledge anything.
      fence.disarm()
      void watchdog.standDown()
      await release(context, positionBefore)
      return
    }
    await parts.clock.sleep(HANDOVER_POLL_MS, stopped).catch(() => {})
  }
}

/** Does somebody who may lead have everything up to and with the shutdown checkpoint? */
async function hasHeir(
  { parts, state }: WorkContext,
  heirs: readonly string[] | undefined,
  checkpointLsn: Lsn,
): Promise<boolean> {
  const view = state.lastView
  if (view === undefined) return false
  const urls = candidateUrls(view, parts.local.name, heirs)
  const answers = await parts.askPeers(urls, Deadline.in(parts.clock, HANDOVER_ASK_MS))
  return answers.some(
    peer =>
      peer.isReachable && peer.mayLead && !peer.watchdogFailed && (peer.walPosition ?? 0n) > checkpointLsn,
  )
}

/** After the stop: an heir has everything, or the key has gone to one already. */
async function isSafeToGo(
  context: WorkContext,
  heirs: readonly string[],
  { shutdownCheckpointLsn }: StopResult,
): Promise<boolean> {
  const { keeper, parts, state } = context
  if (keeper.hold === undefined) return true
  if (shutdownCheckpointLsn === undefined) {
    const promise = state.lastView === undefined ? undefined : syncPromise(state.config, state.lastView)
    return promise !== undefined && heirs.some(name => includesName(promise.standbys, name))
  }
  const by = Deadline.in(parts.clock, AFTER_STOP_MS)
  while (!by.isOver()) {
    if (await hasHeir(context, heirs, shutdownCheckpointLsn)) return true
    await parts.clock.sleep(HANDOVER_POLL_MS)
  }
  return false
}

/** Nobody has what was written last: the order is cleared (a newer one stands), the server comes back where it was. */
async function refuse(
  { parts, keeper }: WorkContext,
  orderModRevision: bigint | undefined,
): Promise<MemoryUpdate> {
  const { hold } = keeper
  parts.events.record({
    kind: 'handover-refused',
    says: 'nobody has received everything: the switchover is given up and the server starts again',
  })
  if (hold !== undefined) {
    const clear = { kind: 'put', key: 'failover', value: emptyRequest } as const
    await writeAsLeader(parts.dcs, hold, [clear], Deadline.in(parts.clock, RELEASE_MS), [
      unchanged('failover', orderModRevision),
    ])
    // The term goes on: proxies need not wait until the word that it ends has lost its weight.
    const takeBack = { kind: 'delete', key: 'pgherd/closing' } as const
    await writeAsLeader(parts.dcs, hold, [takeBack], Deadline.in(parts.clock, RELEASE_MS))
  }
  return backInPlace
}

/** The published position is the one before the shutdown checkpoint, so that a clean replica is not seen as lagging. */
async function release(
  { parts, state, keeper }: WorkContext,
  positionBefore: Lsn | undefined,
): Promise<void> {
  if (keeper.hold === undefined) return
  // Whoever asks us from now on must not take us for a primary that still runs.
  state.server = { ...state.server, process: 'stopping', facts: undefined }
  state.memory = { ...state.memory, role: 'demoted' }
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
