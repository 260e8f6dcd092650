// Our WAL has something that the leader's history does not have.

import type { Upstream } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { say } from './say.ts'

const IMPOSSIBLE =
  'pg_rewind cannot work on it (its data has neither checksums nor wal_log_hints, or the program is missing)'

/** Rewind if allowed, possible and not yet failed against this leader; else copy anew if allowed; else stay and say so. */
export function resolveDivergence(
  { self, canRewind, nowMs }: Snapshot,
  leader: Upstream,
  epoch: bigint,
  memory: Memory,
): Decision {
  const hasFailed = memory.rewindFailedAgainst === epoch
  const isPossible = self.usePgRewind && canRewind !== false
  const { rewindPause: pause } = memory
  if (isPossible && !hasFailed && pause !== undefined && nowMs < pause.untilMs) {
    const says = `pg_rewind from ${leader.member} could not begin (${pause.tries} tries): waiting to try again`
    return { ...say('wait-to-rewind', says, memory), againInMs: pause.untilMs - nowMs }
  }
  if (isPossible && !hasFailed) {
    return say('rewind', `running pg_rewind from ${leader.member}`, memory, { kind: 'rewind', leader })
  }
  if (hasFailed ? self.removeOnRewindFailure : self.removeOnDivergence) {
    return say(
      'set-aside',
      'my history parts from the leader: setting the data directory aside to copy anew',
      memory,
      {
        kind: 'set-aside',
      },
    )
  }
  const why = hasFailed ? 'pg_rewind failed' : self.usePgRewind ? IMPOSSIBLE : 'use_pg_rewind is off'
  const says = `my history parts from (${leader.member}) and ${why}: this server needs reinitialize`
  return { ...say('diverged', says, memory), needsOperator: true }
}
