// The health checks that load balancers call: from a path and the agent's last known state to 200 or 503. Pure.

import { isTagged } from '../cluster/member.ts'
import { isStandbyCluster } from '../cluster/summary.ts'
import { writtenTags } from '../cluster/tags.ts'
import { readBytes } from '../config/agent/units.ts'
import type { AgentStatus } from './agent-port.ts'
import { isQuorumStandby, isSyncStandby } from './sync-role.ts'

/** The answers that everything else is combined from. */
interface Base {
  readonly leader: boolean
  readonly primary: boolean
  readonly standbyLeader: boolean
  readonly replica: boolean
}

const SERVED_BY_LEADER = ['standby_leader', 'standby-leader', 'leader', 'master', 'primary', 'read-write']

/** 200 when this member serves what `path` stands for. The leader's word is our own strict clock, never the key. */
export function healthCheck(path: string, query: URLSearchParams, status: AgentStatus): 200 | 503 {
  const wanted = path === '/' ? '/primary' : path
  const isGood = check(wanted, baseOf(query, status), status)
  if (!isGood) return 503
  const isLeaderPath = SERVED_BY_LEADER.some(word => wanted.includes(word))
  return isLeaderPath || tagsMatch(query, status) ? 200 : 503
}

/** Paths match by substring in this order; only the synchronous family is exact. */
function check(path: string, base: Base, status: AgentStatus): boolean {
  const has = (...words: readonly string[]) => words.some(word => path.includes(word))
  if (has('standby_leader', 'standby-leader')) return base.standbyLeader
  if (has('leader')) return base.leader
  if (has('master', 'primary', 'read-write')) return base.primary
  if (has('replica')) return base.replica
  if (has('read-only') && !has('sync', 'quorum')) return base.primary || base.standbyLeader || base.replica
  if (has('health')) return status.state === 'running'
  return status.view !== undefined && checkSynchronous(path, base, status)
}

function checkSynchronous(path: string, base: Base, status: AgentStatus): boolean {
  const isSync = isSyncStandby(status)
  const isQuorum = isQuorumStandby(status)
  const isLeader = base.primary || base.standbyLeader
  switch (path) {
    case '/sync':
    case '/synchronous':
      return base.replica && isSync
    case '/quorum':
      return base.replica && isQuorum
    case '/async':
    case '/asynchronous':
      return base.replica && !isSync && !isQuorum
    case '/read-only-sync':
    case '/read-only-synchronous':
      return isLeader || (base.replica && isSync)
    case '/read-only-quorum':
      return isLeader || (base.replica && isQuorum)
    default:
      return false
  }
}

function baseOf(query: URLSearchParams, status: AgentStatus): Base {
  const replica = isGoodReplica(query, status)
  const isPrimary = status.role === 'primary'
  const isStandbyLeader = status.role === 'standby_leader'
  if (status.view === undefined && status.isPaused) {
    return {
      leader: isPrimary || isStandbyLeader,
      primary: isPrimary,
      standbyLeader: isStandbyLeader,
      replica,
    }
  }
  if (status.leaseLeftMs <= 0) return { leader: false, primary: false, standbyLeader: false, replica }
  if (isStandbyCluster(status.config.raw)) {
    const standbyLeader = isStandbyLeader || status.role === 'replica'
    // One that is to be demoted takes writes until it stops, and in a pause for as long as that lasts: that is the truth.
    return { leader: true, primary: isPrimary, standbyLeader, replica: false }
  }
  return { leader: true, primary: true, standbyLeader: false, replica }
}

function isGoodReplica(query: URLSearchParams, status: AgentStatus): boolean {
  const wantedState = query.get('replication_state')
  return (
    status.role === 'replica' &&
    status.state === 'running' &&
    !isTagged(status.tags, 'noloadbalance') &&
    !isLagging(query, status) &&
    (wantedState === null || status.facts?.replicationState === wantedState)
  )
}

/** Junk in `lag` is ignored, and without a leader's position nobody lags. */
function isLagging(query: URLSearchParams, status: AgentStatus): boolean {
  const maximum = readBytes(query.get('lag') ?? undefined)
  const leader = leaderLsn(status)
  if (maximum === undefined || leader === undefined) return false
  return leader > (status.facts?.replayedLsn ?? 0n) + BigInt(maximum)
}

/** The leader's position as far as it is known here: its published one, or what our WAL receiver heard. */
export function leaderLsn(status: AgentStatus): bigint | undefined {
  const published = status.view?.status.optime
  const heard = status.facts?.latestEndLsn
  if (published === undefined || heard === undefined) return published ?? heard
  if (published > heard) return published
  return heard
}

/** Every `tag_x=y` of the query must stand in our tags as others see them; booleans and numbers compare as lower-case text. */
function tagsMatch(query: URLSearchParams, status: AgentStatus): boolean {
  const firstValues = new Map([...query].reverse())
  const tags = writtenTags(status.tags)
  for (const [key, wanted] of firstValues) {
    if (!key.startsWith('tag_')) continue
    const value = tags[key.slice('tag_'.length)]
    if (value === undefined || value === null) return false
    const isText = typeof value === 'string'
    if ((isText ? value : String(value).toLowerCase()) !== wanted) return false
  }
  return true
}

/**
 * What may still be believed of `status` at `nowMs`: when the loop has not looked at the server for a whole ttl, its
 * state is unknown. The leader's word needs no age, because its lease runs out by itself.
 */
export function believable(status: AgentStatus, nowMs: number): AgentStatus {
  const isOld = nowMs - status.takenAtMs > status.config.ttlSeconds * 1000
  return isOld ? { ...status, state: 'unknown', facts: undefined } : status
}

/** Is the loop alive? Its next turn may be late by one ttl on a primary, two elsewhere. No look at the server. */
export function liveness(status: AgentStatus, nowMs: number): 200 | 503 {
  const ttlMs = status.config.ttlSeconds * 1000
  const patienceMs = status.role === 'primary' ? ttlMs : 2 * ttlMs
  return status.isPaused || status.nextTurnAtMs + patienceMs > nowMs ? 200 : 503
}

/** The leader, or a standby that streams and is close enough to it. */
export function readiness(query: URLSearchParams, status: AgentStatus): 200 | 503 {
  if (status.leaseLeftMs > 0) return 200
  const { facts } = status
  if (status.state !== 'running' || facts?.replicationState !== 'streaming') return 503
  const leader = leaderLsn(status)
  if (leader === undefined) return status.isFailsafeActive ? 200 : 503
  const reached = query.get('mode') === 'write' ? facts.receivedLsn : facts.replayedLsn
  const asked = readBytes(query.get('lag') ?? undefined)
  const maximum = asked === undefined ? status.config.maximumLagOnFailoverBytes : BigInt(asked)
  return leader - (reached ?? 0n) <= maximum ? 200 : 503
}
