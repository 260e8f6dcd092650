// A synchronous standby's position counts in the race only when it cannot move any more: a former leader whose agent is dead
// goes on committing, and a standby that has told its position and then confirms one more row has told the race a lie.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { SEALED_WITHIN_MS, syncPromise } from '../race.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { includesName } from '../sync/names.ts'
import { say } from './say.ts'

/** Where an upstream is taken away by a reload; older servers would have to restart. */
const BY_RELOAD_SINCE = 130_000
const LOOK_AGAIN_MS = 50

/** Ends our receiver before anything is said of our position. Undefined: it is final, or nobody depends on it. */
export function sealPosition(
  { self, config, failsafe, leaderlessMs, isFollowingNobody }: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const promise = syncPromise(config, view)
  if (promise === undefined || !includesName(promise.standbys, self.name)) return undefined
  if (facts.role !== 'replica' || facts.replicationState !== 'streaming') return undefined
  if (facts.serverVersion < BY_RELOAD_SINCE || leaderlessMs > SEALED_WITHIN_MS) return undefined
  // A leader that lives on without etcd needs our confirmations: we have promised not to run against it.
  if (failsafe.promisedTo !== undefined) return undefined
  if (!isFollowingNobody) {
    const says = 'no leader: receiving nothing more before my position counts'
    return say('stop-receiving', says, memory, { kind: 'stop-receiving' })
  }
  return {
    ...say('wait-for-receiver', 'no leader: waiting for my receiver to end', memory),
    againInMs: LOOK_AGAIN_MS,
  }
}
