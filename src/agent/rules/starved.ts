// A standby that follows its leader and receives nothing: perhaps the leader has thrown away the WAL that it needs. PostgreSQL
// says so in its log, again and again, and goes on asking for ever.

import { formatLsn, type Lsn } from '../../cluster/lsn.ts'
import type { ServerFacts, Upstream } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { walPosition } from '../race.ts'
import type { Memory, Snapshot, StandStill } from '../snapshot.ts'
import { say } from './say.ts'

/** Longer than a leader's restart, and than any pause of PostgreSQL's between two attempts. */
const STILL_MS = 10_000
/** The WAL may come back, from an archive or by an operator's hand. */
const ASK_AGAIN_MS = 60_000
/** Each rebuild leaves the old data aside: not too many of them. */
const REBUILD_AGAIN_MS = 3_600_000

/** Asks the leader once in a while, says what is missing, and gives the data up for a new copy where that is allowed. */
export function lacksWal(
  { nowMs, walOnLeader, config }: Snapshot,
  facts: ServerFacts,
  upstream: Upstream,
  epoch: bigint,
  memory: Memory,
): { readonly memory: Memory; readonly decision?: Decision } {
  const position = walPosition(facts)
  const isMoving = facts.replicationState === 'streaming' || facts.isReplayPaused
  if (isMoving) return { memory: { ...memory, standStill: undefined } }
  const before = continued(memory.standStill, epoch, position, nowMs)
  const still: StandStill =
    walOnLeader === undefined ? before : { ...before, askedAtMs: nowMs, isWalGone: walOnLeader === 'gone' }
  // Not for want of WAL: perhaps what came last from an upstream that is gone is nothing that the leader has.
  const cleanAgainst = walOnLeader === 'unknown' ? undefined : memory.cleanAgainst
  const next: Memory = { ...memory, cleanAgainst, standStill: still }
  const isDue =
    nowMs - still.sinceMs >= STILL_MS && nowMs - (still.askedAtMs ?? Number.NEGATIVE_INFINITY) >= ASK_AGAIN_MS
  if (isDue) {
    const says = `nothing arrives from (${upstream.member}): asking whether it still has the WAL that I need`
    const { timeline } = facts
    return {
      memory: next,
      decision: say('check-wal', says, next, {
        kind: 'check-wal',
        leader: upstream,
        from: position,
        timeline,
      }),
    }
  }
  if (!still.isWalGone) return { memory: next }
  const what = `(${upstream.member}) no longer has the WAL from ${formatLsn(position)} on that this server needs`
  const isRecent = nowMs - (memory.rebuiltAtMs ?? Number.NEGATIVE_INFINITY) < REBUILD_AGAIN_MS
  if (config.rebuildsStarved && !isRecent) {
    const rebuilt = { ...memory, standStill: undefined, rebuiltAtMs: nowMs }
    return {
      memory: next,
      decision: say('rebuild', `${what}: setting the data directory aside to copy anew`, rebuilt, {
        kind: 'set-aside',
      }),
    }
  }
  const says = `${what}: it stays behind until it is reinitialized, or gets that WAL from an archive`
  const decision = say('wal-gone', says, next)
  return { memory: next, decision: walOnLeader === undefined ? decision : { ...decision, warns: says } }
}

function continued(still: StandStill | undefined, epoch: bigint, position: Lsn, nowMs: number): StandStill {
  if (still !== undefined && still.epoch === epoch && still.position === position) return still
  return { epoch, position, sinceMs: nowMs, askedAtMs: undefined, isWalGone: false }
}
