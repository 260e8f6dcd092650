// Stops the server and starts it again in the role that it had, at an operator's order. A leader keeps its key meanwhile:
// the lease keeper and the fence go on as if the server ran.

import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Upstream } from '../postgres/port.ts'
import { giveWay } from './hand-over.ts'
import { beforeStop } from './own-scripts.ts'
import { walPosition } from './race.ts'
import { leaderUpstream } from './rules/say.ts'
import { historyMark, remoteUpstream, sourceOf } from './rules/source.ts'
import { stopQuickly } from './stop-quickly.ts'
import { type MemoryUpdate, noUpdate } from './tasks.ts'
import type { WorkContext } from './work.ts'

const STOP_MS = 3_600_000
const LEASE_CHECK_MS = 20

export type RestartOutcome = 'restarted' | 'still-starting' | 'failed'

export interface Restarted {
  readonly outcome: RestartOutcome
  readonly update: MemoryUpdate
}

/** The server is down because we stopped it: it is started again even if the cluster is paused by then. */
const leftDown: MemoryUpdate = memory => ({ ...memory, isOursToStart: true })

/**
 * Restarts the server within `timeoutMs` (counted from its stop). A leader whose server does not come back in time hands over
 * if somebody can take over. A primary whose lease does not hold is not even stopped; while the cluster is paused it needs
 * none, as it needs none to run.
 */
export async function restartServer(
  context: WorkContext,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Restarted> {
  const { parts, state, keeper } = context
  const before = state.server.facts
  // A leader whose server is down comes back as what it was, in the same term.
  const isPrimary =
    before === undefined
      ? state.memory.role === 'primary' && keeper.hold !== undefined
      : before.role === 'primary'
  if (isUnderLease(context, isPrimary) && isLeaseOver(context)) {
    parts.log.warning('no restart: the lease does not hold, and the server could not come back as a primary')
    return { outcome: 'failed', update: noUpdate }
  }
  state.isStopExpected = true
  const by = Deadline.in(parts.clock, STOP_MS)
  await beforeStop(context, STOP_MS)
  const { stopped } = await parts.postgres.stop({ mode: 'fast', checkpointFirst: true, by })
  if (!stopped) return { outcome: 'failed', update: noUpdate }
  context.callbacks.expect('on_restart')
  const started = await startAgain(context, isPrimary, timeoutMs, signal).catch((error: unknown) => {
    parts.log.error(`restart: ${messageOf(error)}`)
    return 'down' as const
  })
  if (started === 'lease-lost') {
    parts.log.warning('the lease was lost during a restart: the server does not come back as a primary')
    return {
      outcome: 'failed',
      update: memory => leftDown({ ...memory, role: 'demoted', cleanAgainst: undefined }),
    }
  }
  if (started === 'up') {
    return {
      outcome: 'restarted',
      update: memory => ({ ...memory, failedStarts: 0, nextStartAtMs: Number.NEGATIVE_INFINITY }),
    }
  }
  if (started === 'down') return { outcome: 'failed', update: leftDown }
  const position = before === undefined ? undefined : walPosition(before)
  const says = 'the server does not start in time: demoting so that another member can lead'
  const update =
    isPrimary && keeper.hold !== undefined
      ? await giveWay(context, position, { kind: 'restart-too-slow', says })
      : noUpdate
  return { outcome: 'still-starting', update: update ?? noUpdate }
}

/** Paused, a primary needs no lease. */
function isUnderLease({ state }: WorkContext, isPrimary: boolean): boolean {
  return isPrimary && !state.config.isPaused
}

function isLeaseOver({ keeper, fence }: WorkContext): boolean {
  return keeper.leftMs() <= 0 || fence.isActing
}

/**
 * Starts in the old role. Outside of a pause a primary starts only while the lease is ours: the start is called off when it ends. A
 * pause may end meanwhile: then somebody else may lead, so it is asked for at every look, and once more when the server is up.
 */
async function startAgain(
  context: WorkContext,
  isPrimary: boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<'up' | 'down' | 'too-slow' | 'lease-lost'> {
  const { parts, fence } = context
  const isLeaseLost = () => isUnderLease(context, isPrimary) && isLeaseOver(context)
  if (isLeaseLost()) return 'lease-lost'
  let isArmed = false
  const arm = () => {
    if (isArmed || !isUnderLease(context, isPrimary)) return
    isArmed = true
    fence.arm()
  }
  arm()
  // The fence kills what it finds; a server that is launched after its look must not be.
  const fenced = isArmed ? [fence.signal] : []
  const enough = new AbortController()
  const deadline = Deadline.in(parts.clock, timeoutMs)
  const watch = () => {
    arm()
    if (isLeaseLost()) enough.abort(new Error('the lease was lost'))
    else if (deadline.isOver()) enough.abort(new Error('the start takes too long'))
    else timer = parts.clock.setTimer(LEASE_CHECK_MS, watch)
  }
  let timer = parts.clock.setTimer(LEASE_CHECK_MS, watch)
  const follows = isPrimary ? undefined : upstreamOf(context)
  try {
    const role = isPrimary ? 'primary' : 'replica'
    const mayGoOn = AbortSignal.any([enough.signal, signal, ...fenced])
    const isUp = await parts.postgres.start(role, follows, mayGoOn)
    if (isUp && !isLeaseLost()) return 'up'
    if (isUp) await stopQuickly(context)
  } finally {
    timer.cancel()
  }
  if (isLeaseLost()) return 'lease-lost'
  return enough.signal.aborted || signal.aborted ? 'too-slow' : 'down'
}

/**
 * What the server is started behind: whom the rules have it follow, if its history was compared in this term of the leader. Otherwise it
 * starts alone, and the loop compares it before it follows anybody.
 */
function upstreamOf({ state, parts, keeper }: WorkContext): Upstream | undefined {
  const { config, lastView: view, memory } = state
  if (view?.leader === undefined || memory.cleanAgainst !== historyMark(config, view.leader.createRevision))
    return undefined
  if (keeper.hold !== undefined) return remoteUpstream(config)
  const { local, clock } = parts
  const leader = leaderUpstream(view)
  if (leader === undefined || leader.member === local.name) return undefined
  const unknown = { isFollowingLeader: false, isFollowingNobody: false }
  const scene = { self: local, config, nowMs: clock.monotonicMs(), ...unknown }
  return sourceOf(scene, view, leader, undefined, memory).upstream
}
