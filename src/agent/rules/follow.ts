// Somebody else leads.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts, Upstream } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { resolveDivergence } from './divergence.ts'
import { leaderIsPrimary, leaderUpstream, runsAsPrimary, say, sayUnanswered } from './say.ts'
import { lacksWal } from './starved.ts'

/** A promotion takes a tenth of a second or two, and nobody tells us of its end. */
const COMPARE_AGAIN_MS = 250

/** A primary without the key stops at once; a standby follows, after a look at its history when the leader is new. */
export const followsLeader: Rule = (snapshot, memory) => {
  const { view, self, server } = snapshot
  const leader = view?.leader
  if (view === undefined || leader === undefined || leader.name === self.name) return undefined
  const { facts } = server
  // Also one that does not answer: nobody may keep it, and it goes on committing.
  if (runsAsPrimary(server)) {
    return say(
      'demote-without-lock',
      `demoting self because ${leader.name} has the leader lock`,
      { ...memory, role: 'demoted' },
      { kind: 'demote', demotion: { mode: 'immediate', release: false, heirs: undefined } },
    )
  }
  const upstream = leaderUpstream(view)
  if (facts === undefined || upstream === undefined) {
    const why =
      facts === undefined
        ? `my server does not answer (${server.trouble ?? 'starting'})`
        : 'its member key tells no address of its server'
    return sayUnanswered(
      'wait-to-follow',
      `waiting to follow the leader (${leader.name}): ${why}`,
      memory,
      server,
    )
  }
  return followWith(snapshot, view, facts, upstream, leader.createRevision, { ...memory, role: 'replica' })
}

function followWith(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  upstream: Upstream,
  epoch: bigint,
  memory: Memory,
): Decision {
  const checked = checkHistory(snapshot, view, facts, upstream, epoch, memory)
  if (checked.decision !== undefined) return checked.decision
  if (!snapshot.isFollowingLeader) {
    return say('follow', `following the leader (${upstream.member})`, checked.memory, {
      kind: 'follow',
      upstream,
    })
  }
  const starved = lacksWal(snapshot, facts, upstream, epoch, checked.memory)
  if (starved.decision !== undefined) return starved.decision
  return say(
    'no-action-replica',
    `no action. I am (${snapshot.self.name}), a secondary, and following a leader (${upstream.member})`,
    { ...starved.memory, failedStarts: 0 },
  )
}

/** A new leader on another timeline may have parted from us: ask once for each of its terms. */
function checkHistory(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  upstream: Upstream,
  epoch: bigint,
  memory: Memory,
): { readonly memory: Memory; readonly decision?: Decision } {
  if (memory.cleanAgainst === epoch) return { memory }
  const { divergence } = snapshot
  const isInRecovery = divergence?.kind === 'unknown' && divergence.isLeaderInRecovery === true
  if (!leaderIsPrimary(view) || isInRecovery) {
    if (!mayHaveItsNextTimeline(snapshot, view, facts, memory)) return { memory }
    const says = `waiting for (${upstream.member}) to leave recovery: the history of my timeline ${facts.timeline} is to be compared first`
    return { memory, decision: { ...say('wait-to-compare', says, memory), againInMs: COMPARE_AGAIN_MS } }
  }
  if (divergence === undefined) {
    if (isStreamingFrom(snapshot, view, facts)) return { memory: { ...memory, cleanAgainst: epoch } }
    const says = `comparing my history with (${upstream.member})`
    return {
      memory,
      decision: say('check-divergence', says, memory, { kind: 'check-divergence', leader: upstream }),
    }
  }
  if (divergence.kind === 'diverged') {
    return { memory, decision: resolveDivergence(snapshot, upstream, epoch, memory) }
  }
  return { memory: divergence.kind === 'none' ? { ...memory, cleanAgainst: epoch } : memory }
}

/**
 * A leader that is about to be promoted gives its timeline the next number. Who has that number already, of a promotion that
 * nobody heard of, would be sent that timeline's WAL on top of his own: PostgreSQL compares numbers, not histories. Who was
 * compared with an earlier leader, and was not promoted since, has no timeline of his own.
 */
function mayHaveItsNextTimeline(
  { isFollowingLeader }: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): boolean {
  if (memory.cleanAgainst !== undefined || isFollowingLeader) return false
  const leaderTimeline = view.leader === undefined ? undefined : view.members.get(view.leader.name)?.timeline
  return leaderTimeline === undefined || facts.timeline >= leaderTimeline
}

/** Streaming on the leader's own timeline is proof enough of a common history. */
function isStreamingFrom(snapshot: Snapshot, view: ClusterView, facts: ServerFacts): boolean {
  const leaderTimeline = view.leader === undefined ? undefined : view.members.get(view.leader.name)?.timeline
  return (
    snapshot.isFollowingLeader && facts.replicationState === 'streaming' && leaderTimeline === facts.timeline
  )
}
