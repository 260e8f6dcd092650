// The leader key carries our name.

import { clusterTimeline } from '../../cluster/history.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { Decision, PromotionWrite, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { promotionSync } from '../sync/promotion.ts'
import { dueInMs, handleRequest } from './requests.ts'
import { runsAsPrimary, say, sayUnanswered } from './say.ts'
import { handOverStorage } from './storage.ts'
import { keepSynchronous, type SyncUpkeep } from './sync.ts'
import { underWatchdog } from './watchdog.ts'

/** With the key in hand: promote, answer requests, or carry on. With our name but no hold: only a restart may take it up. */
export const holdsLeader: Rule = (snapshot, memory) => {
  const { view, self, server, lease } = snapshot
  if (view?.leader?.name !== self.name) return undefined
  const { facts } = server
  if (lease.hold === undefined) return nameWithoutHold(snapshot, view, memory)
  if (facts === undefined) {
    const says = `leader, but my server does not answer (${server.trouble ?? ''})`
    return sayUnanswered('leader-without-facts', says, memory, server)
  }
  if (facts.role === 'replica') {
    // The key outlived our lease's deadline, or the process stood still: a renewal must come first.
    if (lease.leftMs <= 0)
      return say('wait-for-renewal', 'leader, waiting for my lease to be renewed', memory)
    const unwatched = underWatchdog(snapshot, facts, memory)
    if (unwatched !== undefined) return unwatched
    return say(
      'promote',
      'promoted self to leader by acquiring session lock',
      { ...memory, role: 'promoted' },
      { kind: 'promote', sync: promotionWrite(snapshot, view) },
    )
  }
  const unwatched = underWatchdog(snapshot, facts, { ...memory, role: 'primary' })
  if (unwatched !== undefined) return unwatched
  const requested = handleRequest(snapshot, view, facts, { ...memory, role: 'primary' })
  if (requested !== undefined) return requested
  const handedOver = handOverStorage(snapshot, view, facts, { ...memory, role: 'primary' })
  if (handedOver !== undefined) return handedOver
  const synchronous = keepSynchronous(snapshot, view, facts, { ...memory, role: 'primary', failedStarts: 0 })
  const carryOn =
    synchronous.step ??
    say(
      'no-action-leader',
      `no action. I am (${self.name}), the leader with the lock`,
      synchronous.memory,
      ...(view.config === undefined ? [{ kind: 'write-config' } as const] : []),
    )
  const dueMs = dueInMs(snapshot, view) ?? Number.POSITIVE_INFINITY
  const againInMs = Math.min(synchronous.againInMs ?? Number.POSITIVE_INFINITY, dueMs)
  return { ...carryOn, ...optional(Number.isFinite(againInMs) ? againInMs : undefined, synchronous) }
}

function optional(againInMs: number | undefined, { warns }: SyncUpkeep): Partial<Decision> {
  return {
    ...(againInMs === undefined ? {} : { againInMs }),
    ...(warns === undefined ? {} : { warns }),
  }
}

function promotionWrite({ config, self }: Snapshot, view: ClusterView): PromotionWrite | undefined {
  const begins = promotionSync(config, view.sync?.value, self.name)
  return begins === undefined ? undefined : { ...begins, syncModRevision: view.syncModRevision }
}

/** Our name stands in the key and the hold is not ours: taken up again where that is safe, else waited out. */
export function nameWithoutHold(snapshot: Snapshot, view: ClusterView, memory: Memory): Decision {
  const again = reattach(snapshot, view, memory)
  if (again !== undefined) return again
  // Also one that does not answer: when the key ends nothing else would stop it.
  if (runsAsPrimary(snapshot.server)) {
    return say(
      'demote-without-lock',
      'demoting self because the leader key with my name is not my own any more',
      { ...memory, role: 'demoted' },
      { kind: 'demote', demotion: { mode: 'immediate', release: false, heirs: undefined } },
    )
  }
  return say('wait-for-expiry', 'waiting for the leader key of my former life to expire', memory)
}

/** Our name is in the key without our hold: after a restart beside a running primary, or after an answer that was lost. */
export function reattach(
  { lease, acquired, self, server, config }: Snapshot,
  view: ClusterView,
  memory: Memory,
): Decision | undefined {
  const { leader } = view
  const isOnOurLease = leader !== undefined && leader.leaseId === lease.leaseId
  const timeline = clusterTimeline(view.history?.value) ?? 0
  const own = server.facts?.timeline ?? server.controlTimeline ?? 0
  // A standby leader takes no writes: whatever became of the cluster meanwhile, it cannot have acknowledged any.
  const isStandbyLeader = config.standbyCluster !== undefined && server.facts?.role === 'replica'
  const isRestart = !memory.isSettled && (isStandbyLeader || (runsAsPrimary(server) && own >= timeline))
  // A key that hangs on our own lease is ours, whatever became of the answer to the write that put it there.
  if (!isOnOurLease && !(isRestart && acquired === undefined)) return undefined
  const says = `the leader key carries my name (${self.name}): taking it up again`
  return say('reattach-leader', says, memory, { kind: 'reattach-leader' })
}
