// The operator's scripts that something waits for: before a promotion, before an ordered stop. Neither may outlive what it
// stands before: the lease, the fence.

import type { Timer } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { ScriptEnd } from '../platform/script.ts'
import type { WorkContext } from './work.ts'

const LEASE_CHECK_MS = 50

/**
 * Runs `pre_promote` with the leader key in hand. False: it failed, or was ended because the lease was lost or `signal`
 * aborted. Without such a script true.
 */
export async function prePromote(context: WorkContext, signal: AbortSignal): Promise<boolean> {
  const { parts, state, keeper } = context
  const line = parts.settingsFor(state.config).scripts.prePromote
  if (line === undefined) return true
  const { log } = parts
  log.info('running pre_promote')
  const { prePromoteTimeoutMs } = parts.local.scripts
  const why = await ended(context, line, prePromoteTimeoutMs, signal, () => keeper.leftMs() <= 0)
  if (why === undefined) return true
  log.warning(`pre_promote failed: ${why}: not promoting`)
  return false
}

/** Runs `before_stop`, whatever it says. The fence ends it, and so does the stop's own time. Never rejects. */
export async function beforeStop(context: WorkContext, withinMs: number): Promise<void> {
  const { parts, state, fence } = context
  const line = parts.settingsFor(state.config).scripts.beforeStop
  if (line === undefined || state.server.process === 'stopped' || fence.isActing) return
  parts.log.info('running before_stop')
  const limitMs = Math.min(parts.local.scripts.beforeStopTimeoutMs ?? Number.POSITIVE_INFINITY, withinMs)
  const why = await ended(context, line, limitMs, fence.signal, () => false)
  if (why !== undefined) parts.log.warning(`before_stop failed: ${why}: the server is stopped all the same`)
}

/** Undefined when it ended with 0, else why not. */
async function ended(
  { parts }: WorkContext,
  line: string,
  timeoutMs: number | undefined,
  signal: AbortSignal,
  isLost: () => boolean,
): Promise<string | undefined> {
  const { clock, runScript } = parts
  const enough = new AbortController()
  const untilMs = clock.monotonicMs() + (timeoutMs ?? Number.POSITIVE_INFINITY)
  let timer: Timer
  const look = () => {
    if (isLost()) enough.abort(new Error('the lease was lost'))
    else if (clock.monotonicMs() >= untilMs) enough.abort(new Error('it took too long'))
    else timer = clock.setTimer(LEASE_CHECK_MS, look)
  }
  timer = clock.setTimer(LEASE_CHECK_MS, look)
  try {
    return lackOf(await runScript(line, [], AbortSignal.any([enough.signal, signal])), [
      enough.signal,
      signal,
    ])
  } finally {
    timer.cancel()
  }
}

function lackOf(end: ScriptEnd, signals: readonly AbortSignal[]): string | undefined {
  if (end.kind === 'exited') return end.code === 0 ? undefined : `exit code ${end.code}`
  const aborted = signals.find(signal => signal.aborted)
  return aborted === undefined ? end.says : messageOf(aborted.reason)
}
