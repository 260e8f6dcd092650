// The server does not run, or not yet.

import type { ClusterView, LeaderKey } from '../../cluster/view.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { resolveDivergence } from './divergence.ts'
import { leaderIsPrimary, leaderUpstream, say } from './say.ts'
import { sourceAtStart } from './source.ts'

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
  if (server.process === 'starting' && upstream !== undefined) {
    const says = `PostgreSQL is still starting: following (${upstream.member})`
    return say('follow-while-starting', says, memory, { kind: 'follow', upstream })
  }
  return say('server-is-starting', `PostgreSQL is still ${server.process}`, memory)
}
