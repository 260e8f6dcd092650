// Somebody else leads.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts, Upstream } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { resolveDivergence } from './divergence.ts'
import { leaderIsPrimary, leaderUpstream, runsAsPrimary, say, sayUnanswered } from './say.ts'
import { historyMark, reference, type Source, sourceOf } from './source.ts'
import { lacksWal } from './starved.ts'

/** A promotion takes a tenth of a second or two, and nobody tells us of its end. */
const COMPARE_AGAIN_MS = 250
/** A leader that gives no answer is likely to be full, or cut off from us. */
const ASK_AGAIN_MS = 1_000

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
  const mark = historyMark(snapshot.config, leader.createRevision)
  return followWith(snapshot, view, facts, upstream, mark, { ...memory, role: 'replica' })
}

function followWith(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  upstream: Upstream,
  mark: bigint,
  memory: Memory,
): Decision {
  const check = snapshot.config.standbyCluster === undefined ? checkHistory : checkRemoteHistory
  const checked = check(snapshot, view, facts, upstream, mark, memory)
  if (checked.decision !== undefined) return checked.decision
  const source = sourceOf(snapshot, view, upstream, facts, checked.memory)
  const turned = source.isFollowing ? undefined : turnTo(source, upstream)
  if (turned !== undefined) return turned
  const isFromLeader = source.kind === 'leader'
  const starved = isFromLeader
    ? lacksWal(snapshot, facts, upstream, mark, source.memory)
    : { memory: { ...source.memory, standStill: undefined } }
  if (starved.decision !== undefined) return starved.decision
  const decision = say('no-action-replica', noAction(snapshot.self.name, upstream, source), {
    ...starved.memory,
    failedStarts: 0,
  })
  return source.againInMs === undefined ? decision : { ...decision, againInMs: source.againInMs }
}

/** Points the server to another source. */
function turnTo({ kind, upstream, memory }: Source, leader: Upstream): Decision {
  if (upstream === undefined) {
    const says = 'nostream: following by the archive alone'
    return say('follow-archive', says, memory, { kind: 'stop-receiving' })
  }
  if (kind === 'named') {
    const says = `following (${upstream.member}), which follows the leader (${leader.member})`
    return say('follow-named', says, memory, { kind: 'follow', upstream })
  }
  return say('follow', `following the leader (${upstream.member})`, memory, { kind: 'follow', upstream })
}

function noAction(me: string, leader: Upstream, { kind, upstream }: Source): string {
  const sentence = `no action. I am (${me}), a secondary, and following a leader (${leader.member})`
  if (kind === 'archive') return `${sentence} by the archive`
  return kind === 'named' ? `${sentence} through (${upstream?.member})` : sentence
}

/** What a look at the history found; a decision where it has to be acted on first. */
interface Checked {
  readonly memory: Memory
  readonly decision?: Decision
}

/** A new leader on another timeline may have parted from us: ask once for each of its terms. */
function checkHistory(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  upstream: Upstream,
  mark: bigint,
  memory: Memory,
): Checked {
  if (memory.cleanAgainst === mark) return { memory }
  const { divergence } = snapshot
  const isInRecovery = divergence?.kind === 'unknown' && divergence.isLeaderInRecovery === true
  if (!leaderIsPrimary(view) || isInRecovery) {
    if (!mayHaveItsNextTimeline(snapshot, view, facts, memory)) return { memory }
    return { memory, decision: waitToCompare(upstream, facts, memory) }
  }
  if (divergence === undefined) {
    if (isStreamingFrom(snapshot, view, facts)) return { memory: { ...memory, cleanAgainst: mark } }
    const says = `comparing my history with (${upstream.member})`
    return {
      memory,
      decision: say('check-divergence', says, memory, { kind: 'check-divergence', leader: upstream }),
    }
  }
  if (divergence.kind === 'diverged') {
    return { memory, decision: resolveDivergence(snapshot, upstream, mark, memory) }
  }
  if (divergence.kind === 'none') return { memory: { ...memory, cleanAgainst: mark } }
  // A leader that never lets us in would keep us from following for ever, and has told its timeline in its key.
  if (divergence.isLasting === true || !mayHaveItsNextTimeline(snapshot, view, facts, memory))
    return { memory }
  return { memory, decision: waitForAnswer(upstream, divergence.why, memory) }
}

/**
 * In a standby cluster all have parts of the other cluster's history and none of their own: that is what ours is compared
 * with. Where it does not answer, who was compared before has nothing of his own since; anybody else waits.
 */
function checkRemoteHistory(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  leader: Upstream,
  mark: bigint,
  memory: Memory,
): Checked {
  const { config, divergence } = snapshot
  const remote = reference(config, leader)
  const isClean = memory.cleanAgainst === mark || remote === undefined
  if (isClean) return { memory: { ...memory, cleanAgainst: mark } }
  if (divergence === undefined) {
    if (isStreamingFrom(snapshot, view, facts)) return { memory: { ...memory, cleanAgainst: mark } }
    const says = `comparing my history with the remote cluster (${remote.member})`
    return {
      memory,
      decision: say('compare-with-remote', says, memory, { kind: 'check-divergence', leader: remote }),
    }
  }
  if (divergence.kind === 'diverged')
    return { memory, decision: resolveDivergence(snapshot, remote, mark, memory) }
  if (divergence.kind === 'none') return { memory: { ...memory, cleanAgainst: mark } }
  if (!mayHaveItsNextTimeline(snapshot, view, facts, memory))
    return { memory: { ...memory, cleanAgainst: mark } }
  return { memory, decision: waitToCompare(remote, facts, memory) }
}

function waitToCompare({ member, remote }: Upstream, { timeline }: ServerFacts, memory: Memory): Decision {
  const what = remote === undefined ? 'to leave recovery' : 'to answer'
  const says = `waiting for (${member}) ${what}: the history of my timeline ${timeline} is to be compared first`
  return { ...say('wait-to-compare', says, memory), againInMs: COMPARE_AGAIN_MS }
}

function waitForAnswer({ member }: Upstream, why: string, memory: Memory): Decision {
  const says = `waiting to compare my history with (${member}) before I follow it: ${why}`
  return { ...say('wait-to-compare', says, memory), againInMs: ASK_AGAIN_MS }
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
