// The server does not run, or not yet.

import type { ClusterView, LeaderKey } from '../../cluster/view.ts'
import type { Upstream } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { resolveDivergence } from './divergence.ts'
import { leaderIsPrimary, leaderUpstream, say } from './say.ts'
import { historyMark, reference, sourceAtStart } from './source.ts'

/** A leader gives way after this many starts that failed at once: somebody else may be able to serve. */
export const LEADER_STARTS_MAX = 3
/** And after this many restarts in so short a time: a server that crashes again and again serves nobody. */
export const RESTARTS_MAX = 3

/** A leader comes back in place; everybody else as a standby, after a look at whether its history is still the leader's. */
export const serverIsDown: Rule = (snapshot, memory) => {
  const { server, view, lease, nowMs } = snapshot
  if (server.process !== 'stopped' || view === undefined) return undefined
  const isPatient = lease.hold === undefined || memory.failedStarts < LEADER_STARTS_MAX
  if (isPatient && nowMs < memory.nextStartAtMs) {
    return say(
      'wait-to-start',
      `the server did not start (${memory.failedStarts} tries): waiting to try again`,
      memory,
    )
  }
  if (lease.hold !== undefined && lease.leftMs > 0) return leaderIsDown(memory, nowMs)
  return standbyIsDown(snapshot, view, memory)
}

function leaderIsDown(memory: Memory, nowMs: number): Decision {
  if (memory.failedStarts >= LEADER_STARTS_MAX) {
    return say(
      'leader-cannot-start',
      'released leader key: the server does not start',
      { ...memory, role: 'demoted' },
      { kind: 'release-leader' },
    )
  }
  if (memory.role === 'primary') {
    const restartsAtMs = [...memory.restartsAtMs, nowMs].slice(-RESTARTS_MAX)
    return say(
      'restart-in-place',
      'starting primary after failure',
      { ...memory, restartsAtMs },
      {
        kind: 'start',
        as: 'primary',
        upstream: undefined,
      },
    )
  }
  return say('start-to-promote', 'starting as a standby because I have the lock', memory, {
    kind: 'start',
    as: 'replica',
    upstream: undefined,
  })
}

function standbyIsDown(snapshot: Snapshot, view: ClusterView, memory: Memory): Decision {
  const { leader } = view
  const upstream = leader?.name === snapshot.self.name ? undefined : leaderUpstream(view)
  if (upstream === undefined || !leaderIsPrimary(view) || leader === undefined) {
    return say('start-alone', 'starting as a secondary without a leader to follow', memory, {
      kind: 'start',
      as: 'replica',
      upstream: undefined,
    })
  }
  if (memory.cleanAgainst === leader.createRevision) {
    return startFollowing(snapshot, view, leader, memory)
  }
  const { divergence } = snapshot
  if (divergence === undefined) {
    return say('check-divergence', `comparing my history with (${leader.name})`, memory, {
      kind: 'check-divergence',
      leader: upstream,
    })
  }
  if (divergence.kind === 'diverged')
    return resolveDivergence(snapshot, upstream, leader.createRevision, memory)
  if (divergence.kind === 'none')
    return startFollowing(snapshot, view, leader, { ...memory, cleanAgainst: leader.createRevision })
  // A crashed server's end of WAL is only known after recovery: it recovers alone, then it is asked again.
  return say('start-alone', `starting as a secondary to find its end of WAL (${divergence.why})`, memory, {
    kind: 'start',
    as: 'replica',
    upstream: undefined,
  })
}

function startFollowing(snapshot: Snapshot, view: ClusterView, leader: LeaderKey, memory: Memory): Decision {
  const source = sourceAtStart(snapshot, view, memory)
  const upstream = source?.upstream
  const says = `starting as a secondary of (${upstream?.member ?? leader.name})`
  return say('start-following', says, source?.memory ?? memory, { kind: 'start', as: 'replica', upstream })
}

/**
 * A postmaster that does not take connections yet, or not any more. A standby may need the leader's WAL to come up at all
 * (after a rewind or a copy), so it is pointed to it.
 */
export const serverIsStarting: Rule = (snapshot, memory) => {
  const { server, view } = snapshot
  if (server.process !== 'starting' && server.process !== 'stopping') return undefined
  const source = view === undefined ? undefined : sourceAtStart(snapshot, view, memory)
  const upstream = source?.isFollowing === false ? source.upstream : undefined
  if (view !== undefined && upstream !== undefined && server.process === 'starting')
    return followWhileStarting(snapshot, view, upstream, memory)
  return say('server-is-starting', `PostgreSQL is still ${server.process}`, memory)
}

/**
 * The leader may have changed since the start, and PostgreSQL compares numbers of timelines only: it would put WAL of the new
 * leader's timeline on top of another one of that number. So histories are compared here as before any other turn to a leader.
 */
function followWhileStarting(
  snapshot: Snapshot,
  view: ClusterView,
  upstream: Upstream,
  memory: Memory,
): Decision {
  const { config, divergence, self } = snapshot
  const leader = view.leader?.name === self.name ? undefined : leaderUpstream(view)
  const says = `PostgreSQL is still starting: following (${upstream.member})`
  const follow = (after: Memory) => say('follow-while-starting', says, after, { kind: 'follow', upstream })
  const compared = leader === undefined ? undefined : reference(config, leader)
  // A standby leader has only the other cluster to follow, and nobody else's timeline can have reached it meanwhile.
  if (view.leader === undefined || compared === undefined) return follow(memory)
  const mark = historyMark(config, view.leader.createRevision)
  if (memory.cleanAgainst === mark) return follow(memory)
  if (compared.remote === undefined && !leaderIsPrimary(view))
    return waitToFollow(`(${compared.member}) has not left recovery yet`, memory)
  switch (divergence?.kind) {
    case 'none':
      return follow({ ...memory, cleanAgainst: mark })
    case 'diverged':
      return resolveDivergence(snapshot, compared, mark, memory)
    case 'unknown':
      return waitToFollow(divergence.why, memory)
    case undefined: {
      const why = `comparing my history with (${compared.member}) before it is followed`
      return say('compare-while-starting', `PostgreSQL is still starting: ${why}`, memory, {
        kind: 'check-divergence',
        leader: compared,
      })
    }
  }
}

function waitToFollow(why: string, memory: Memory): Decision {
  return say('wait-while-starting', `PostgreSQL is still starting and follows nobody yet: ${why}`, memory)
}
