// The synchronous state with which a new leader begins. Written to the `sync` key before the server leaves recovery:
// from its first commit on, nobody may lead who does not have that commit. Pure.

import type { SyncState } from '../../cluster/sync.ts'
import type { DynamicConfig } from '../../config/agent/types.ts'
import { NOBODY, printAny, printEach, sameName } from './names.ts'

export interface PromotionSync {
  readonly sync: SyncState
  /** The parameter to promote with. */
  readonly names: string
}

/** Undefined when no synchronous mode is on. */
export function promotionSync(
  config: Pick<DynamicConfig, 'synchronousMode' | 'isSynchronousStrict'>,
  recorded: SyncState | undefined,
  me: string,
): PromotionSync | undefined {
  const { synchronousMode, isSynchronousStrict } = config
  if (synchronousMode === 'off') return undefined
  const others = (recorded?.standbys ?? []).filter(name => !sameName(name, me))
  const quorum = recorded?.quorum ?? 0
  if (synchronousMode === 'quorum') return quorumBegins(me, others, quorum, isSynchronousStrict)
  if (!isSynchronousStrict) return { sync: { leader: me, quorum: 0, standbys: [] }, names: '' }
  // Those of a quorum do not each have every commit.
  const standbys = quorum === 0 ? others : []
  return {
    sync: { leader: me, quorum: 0, standbys },
    names: others.length === 0 ? NOBODY : printEach(others),
  }
}

/** The same quorum over the voters that are left; so many must confirm that it is enough. */
function quorumBegins(
  me: string,
  voters: readonly string[],
  quorum: number,
  isStrict: boolean,
): PromotionSync {
  const sync = { leader: me, quorum, standbys: voters }
  const count = Math.max(voters.length - quorum, isStrict ? 1 : 0)
  if (voters.length === 0) return { sync: { ...sync, quorum: 0 }, names: isStrict ? NOBODY : '' }
  return { sync, names: printAny(count, voters) }
}

/**
 * What a standby has in the parameter: nothing, or, where a promotion must not begin open, nobody. Names that replace nothing
 * make commits wait only when the checkpointer has read them, which may be after the first commit.
 */
export function standbyNames(
  config: Pick<DynamicConfig, 'synchronousMode' | 'isSynchronousStrict'>,
): string | undefined {
  if (config.synchronousMode === 'off') return undefined
  return config.isSynchronousStrict || config.synchronousMode === 'quorum' ? NOBODY : ''
}
