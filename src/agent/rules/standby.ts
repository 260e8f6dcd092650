// This cluster follows another one. Its leader is a standby that follows the other cluster, the members follow it, and no
// server here ever leaves recovery: there is no promotion among these rules.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts, Upstream } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { resolveDivergence } from './divergence.ts'
import { nameWithoutHold } from './lead.ts'
import { LEADER_STARTS_MAX } from './recover.ts'
import { handleRequest } from './requests.ts'
import { leaderUpstream, say, sayUnanswered } from './say.ts'
import { historyMark, reference, remoteUpstream, sourceAtStart } from './source.ts'
import { lacksWal } from './starved.ts'

/** A comparison takes as long as the other side needs to answer; while the server asks by itself there is less of a hurry. */
const COMPARE_AGAIN_MS = 3_000
const COMPARE_FOLLOWED_AGAIN_MS = 10_000

/** The key is ours: follow the other cluster. A server that still is a primary becomes a standby first. */
export const leadsStandbyCluster: Rule = (snapshot, memory) => {
  const { view, self, server, lease, config } = snapshot
  const remote = remoteUpstream(config)
  if (view?.leader?.name !== self.name || remote === undefined) return undefined
  if (lease.hold === undefined) return nameWithoutHold(snapshot, view, memory)
  const { facts } = server
  if (facts === undefined) {
    const says = `standby leader, but my server does not answer (${server.trouble ?? ''})`
    return sayUnanswered('leader-without-facts', says, memory, server)
  }
  if (facts.role === 'primary') {
    return say(
      'demote-cluster',
      `demoting this cluster: from now on it follows (${remote.member})`,
      { ...memory, role: 'demoted' },
      { kind: 'demote-cluster' },
    )
  }
  const known: Memory = { ...memory, role: 'replica', failedStarts: 0 }
  const requested = handleRequest(snapshot, view, facts, known)
  if (requested !== undefined) return requested
  if (view.sync !== undefined) {
    const says = 'a standby cluster confirms nothing: removing the sync key'
    const { syncModRevision } = view
    return say('standby-synchronous-off', says, known, { kind: 'delete-sync', syncModRevision })
  }
  return followRemote(snapshot, view, facts, remote, known)
}

function followRemote(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  remote: Upstream,
  memory: Memory,
): Decision {
  const mark = historyMark(snapshot.config, view.leader?.createRevision ?? 0n)
  const checked = compareWithRemote(snapshot, facts, remote, mark, memory)
  if ('rule' in checked) return checked
  if (snapshot.isFollowingRemote !== true) {
    const says = `following the remote cluster (${remote.member})`
    return say('follow-remote', says, checked, { kind: 'follow', upstream: remote })
  }
  const starved =
    reference(snapshot.config, remote) === undefined
      ? { memory: checked }
      : lacksWal(snapshot, facts, remote, mark, checked)
  if (starved.decision !== undefined) return starved.decision
  const writes = view.config === undefined ? [{ kind: 'write-config' } as const] : []
  const says = `no action. I am (${snapshot.self.name}), the standby leader with the lock`
  return say('no-action-standby-leader', says, starved.memory, ...writes)
}

/** A decision where something has to be done or waited for first, else what to remember. */
function compareWithRemote(
  snapshot: Snapshot,
  facts: ServerFacts,
  remote: Upstream,
  mark: bigint,
  memory: Memory,
): Decision | Memory {
  const { divergence, nowMs, config } = snapshot
  const isFollowing = snapshot.isFollowingRemote === true
  const isStreaming = isFollowing && facts.replicationState === 'streaming'
  if (memory.cleanAgainst === mark || isStreaming || reference(config, remote) === undefined)
    return { ...memory, cleanAgainst: mark }
  if (divergence === undefined) {
    const againMs = isFollowing ? COMPARE_FOLLOWED_AGAIN_MS : COMPARE_AGAIN_MS
    const isDue = nowMs - (memory.comparedAtMs ?? Number.NEGATIVE_INFINITY) >= againMs
    if (!isDue) return isFollowing ? memory : waitForRemote(remote, memory)
    const says = `comparing my history with the remote cluster (${remote.member})`
    const next = { ...memory, comparedAtMs: nowMs }
    return say('compare-with-remote', says, next, { kind: 'check-divergence', leader: remote })
  }
  if (divergence.kind === 'diverged') return resolveDivergence(snapshot, remote, mark, memory)
  if (divergence.kind === 'none') return { ...memory, cleanAgainst: mark }
  // Compared with that cluster in an earlier term: it has nothing but its WAL since.
  if (memory.cleanAgainst !== undefined && memory.cleanAgainst < 0n) return { ...memory, cleanAgainst: mark }
  // It names that cluster already: it asks again and again by itself, and gets nothing that does not fit.
  return isFollowing ? memory : waitForRemote(remote, memory)
}

/** Histories of one number that nobody compared would be laid on top of each other. */
function waitForRemote(remote: Upstream, memory: Memory): Decision {
  const says = `standby leader, waiting for the remote cluster (${remote.member}) to answer: histories are to be compared first`
  return say('wait-for-remote', says, memory)
}

/** A server that is down comes up as a standby, whoever it was: of the other cluster where it leads, else of the leader. */
export const standbyClusterServerIsDown: Rule = (snapshot, memory) => {
  const { server, view, lease, nowMs, config, self } = snapshot
  if (server.process !== 'stopped' || view === undefined) return undefined
  const isLeader = lease.hold !== undefined && lease.leftMs > 0
  if (isLeader && memory.failedStarts >= LEADER_STARTS_MAX) {
    const says = 'released leader key: the server does not start'
    return say('leader-cannot-start', says, { ...memory, role: 'demoted' }, { kind: 'release-leader' })
  }
  if (nowMs < memory.nextStartAtMs) {
    const says = `the server did not start (${memory.failedStarts} tries): waiting to try again`
    return say('wait-to-start', says, memory)
  }
  const leader = view.leader?.name === self.name ? undefined : leaderUpstream(view)
  const source = sourceAtStart(snapshot, view, memory)
  const compared = leader ?? remoteUpstream(config)
  if (source === undefined || view.leader === undefined || compared === undefined)
    return startAlone('without a leader to follow', memory)
  const mark = historyMark(config, view.leader.createRevision)
  const remote = reference(config, compared)
  const isClean = memory.cleanAgainst === mark || remote === undefined || snapshot.divergence?.kind === 'none'
  if (isClean) {
    const { upstream } = source
    const says = `starting as a secondary of (${upstream?.member ?? 'an archive'})`
    const next = { ...source.memory, cleanAgainst: mark }
    return say('start-following', says, next, { kind: 'start', as: 'replica', upstream })
  }
  if (snapshot.divergence === undefined) {
    const says = `comparing my history with the remote cluster (${remote.member})`
    return say('compare-with-remote', says, memory, { kind: 'check-divergence', leader: remote })
  }
  if (snapshot.divergence.kind === 'diverged') return resolveDivergence(snapshot, remote, mark, memory)
  return startAlone(`to find its end of WAL (${snapshot.divergence.why})`, memory)
}

function startAlone(why: string, memory: Memory): Decision {
  const says = `starting as a secondary ${why}`
  return say('start-alone', says, memory, { kind: 'start', as: 'replica', upstream: undefined })
}
