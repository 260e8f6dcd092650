// Carries out what was decided about who confirms commits: the sync key and the server's parameter. Decides nothing.

import { printSync } from '../cluster/sync.ts'
import type { Condition, Write } from '../dcs/dcs.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import type { Action, PromotionWrite } from './decision.ts'
import { standbyNames } from './sync/promotion.ts'
import type { WorkContext } from './work.ts'

export const SYNC_KEY = 'sync'
const RELOAD_TIMEOUT_MS = 10_000

/** Holds while a key is as it was read. */
export function unchanged(key: string, modRevision: bigint | undefined): Condition {
  return modRevision === undefined
    ? { kind: 'absent', key }
    : { kind: 'mod-revision', key, revision: modRevision }
}

/** From now on the agent decides the parameter; undefined gives it back. Throws when a running server does not take it. */
export async function setSynchronousNames(
  { parts, state }: WorkContext,
  names: string | undefined,
): Promise<void> {
  // Until the server has it nobody may go by it: a promotion would begin with what was there before.
  state.synchronousNames = { isKnown: false, names }
  const by = Deadline.in(parts.clock, RELOAD_TIMEOUT_MS)
  const isTaken = await parts.postgres.setSynchronousStandbys(names, by)
  if (!isTaken && state.server.process === 'running')
    throw new HaError('E_SYNC', `the server does not take synchronous_standby_names = '${names ?? ''}'`)
  state.synchronousNames = { isKnown: true, names }
}

/** A standby waits for nobody, or in strict mode would wait for ever: so that its promotion cannot begin open. */
export async function keepStandbyNames(
  { parts, state }: Pick<WorkContext, 'parts' | 'state'>,
  by: Deadline,
): Promise<void> {
  const names = standbyNames(state.config)
  const { isKnown, names: held } = state.synchronousNames
  if (held === names && (isKnown || names === undefined)) return
  state.synchronousNames = { isKnown: false, names }
  // What the server did not take is tried again in the next turn, and before a promotion.
  const isTaken = await parts.postgres.setSynchronousStandbys(names, by)
  state.synchronousNames = { isKnown: isTaken, names }
}

/** A primary that comes back in place waits for the same standbys as before: the sync key still names them. */
export async function namesForStart(context: WorkContext, as: 'primary' | 'replica'): Promise<void> {
  const { config, synchronousNames, seenSynchronousNames } = context.state
  const kept = synchronousNames.names ?? seenSynchronousNames
  const ofPrimary = config.synchronousMode === 'off' ? undefined : kept
  await setSynchronousNames(context, as === 'primary' ? ofPrimary : standbyNames(config))
}

/** Before the first commit of the new term nobody may be left in the sync key who will not have it. Throws unless that is so. */
export async function beginSynchronous(context: WorkContext, write: PromotionWrite): Promise<void> {
  const { parts, keeper, state } = context
  const { hold } = keeper
  if (hold === undefined) throw new HaError('E_LEASE_LOST', 'the lease was lost before the promotion')
  const put = { kind: 'put', key: SYNC_KEY, value: printSync(write.sync) } as const
  const by = Deadline.in(parts.clock, state.config.retryTimeoutSeconds * 1000)
  const { outcome } = await writeAsLeader(parts.dcs, hold, [put], by, [
    unchanged(SYNC_KEY, write.syncModRevision),
  ])
  if (outcome !== 'won')
    throw new HaError('E_SYNC', `the sync key was not written (${outcome}): not promoted yet`)
  const { isKnown, names } = state.synchronousNames
  if (!isKnown || names !== write.names) await setSynchronousNames(context, write.names)
}

/**
 * One step of the leader's synchronous upkeep on the key. A write that loses its compare is read and decided again at once.
 * Throws when nobody knows what became of it: an etcd that is too slow for this one is too slow for the next.
 */
export async function recordSync(
  { parts, keeper }: Pick<WorkContext, 'parts' | 'keeper'>,
  action: Extract<Action, { kind: 'write-sync' | 'delete-sync' }>,
  by: Deadline,
): Promise<void> {
  const { hold } = keeper
  if (hold === undefined) return
  const write: Write =
    action.kind === 'delete-sync'
      ? { kind: 'delete', key: SYNC_KEY }
      : { kind: 'put', key: SYNC_KEY, value: printSync(action.sync) }
  const { dcs, log } = parts
  const { outcome } = await writeAsLeader(dcs, hold, [write], by, [
    unchanged(SYNC_KEY, action.syncModRevision),
  ])
  if (outcome === 'lost') log.warning('the sync key was not written (lost): reading again')
  else if (outcome !== 'won') throw new HaError('E_NOT_WRITTEN', `the write ended as ${outcome}`)
}
