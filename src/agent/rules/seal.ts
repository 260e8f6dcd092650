// A synchronous standby's position counts in the race only when it cannot move any more: a former leader whose agent is dead
// goes on committing, and a standby that has told its position and then confirms one more row has told the race a lie.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { canSeal, SEALED_WITHIN_MS, syncPromise } from '../race.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { includesName } from '../sync/names.ts'
import { failsafe } from './gate.ts'
import { say } from './say.ts'

const LOOK_AGAIN_MS = 50

/**
 * Ends our receiver before anything is said of our position, however late that is: until then our voice counts for nobody.
 * Undefined: it is final, or nobody depends on it, or the receiver does not end. What it still brings is ours to promote.
 */
export function sealPosition(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const { self, config, nowMs, leaderlessMs, isFollowingNobody } = snapshot
  const promise = syncPromise(config, view)
  if (promise === undefined || !includesName(promise.standbys, self.name)) return undefined
  if (facts.role !== 'replica' || facts.replicationState !== 'streaming') return undefined
  if (!canSeal(facts)) return undefined
  // A leader that may live on without etcd needs our confirmations, as long as we may not run against it.
  if (failsafe(snapshot, view, facts) !== undefined) return undefined
  const { stoppedReceivingAtMs: triedAtMs } = memory
  if (!isFollowingNobody) {
    // Whatever made it fail is there still: the next turn tries again.
    const isTried = triedAtMs !== undefined && nowMs - triedAtMs < config.loopWaitSeconds * 1000
    if (isTried) return undefined
    const says = 'no leader: receiving nothing more before my position counts'
    const next = { ...memory, stoppedReceivingAtMs: nowMs }
    return say('stop-receiving', says, next, { kind: 'stop-receiving' })
  }
  const waitedMs = triedAtMs === undefined ? leaderlessMs : nowMs - triedAtMs
  if (waitedMs > SEALED_WITHIN_MS) return undefined
  return {
    ...say('wait-for-receiver', 'no leader: waiting for my receiver to end', memory),
    againInMs: LOOK_AGAIN_MS,
  }
}
