// Which members a pool of reads has: by role, filter, lag, or by the checks of the file. Pure.

import { isTagged, type Tags } from '../cluster/member.ts'
import { isInSync, type SyncState } from '../cluster/sync.ts'
import type { MemberFilter, PoolKind } from '../config/proxy/types.ts'
import {
  isRunningPrimary,
  type MemberHealth,
  servesReads,
  speaksForItself,
  unknownHealth,
} from '../health/verdict.ts'
import { isNearEnough, type Lag } from './lag.ts'

/** A server of the file that belongs to a pool. */
export interface PoolServer {
  readonly name: string
  readonly isBackup: boolean
  readonly isDisabled: boolean
  /** Without a check it counts as up. */
  readonly hasCheck: boolean
  readonly drainsOn404: boolean
}

/** A pool of reads as the configuration describes it. */
export interface PoolSpec {
  readonly name: string
  readonly kind: Exclude<PoolKind, 'leader'>
  readonly filter: MemberFilter
  readonly servers: readonly PoolServer[]
  readonly allBackups: boolean
}

/** Everything about the members that a pool depends on. */
export interface PoolEvidence {
  readonly nowMs: number
  readonly members: ReadonlyMap<string, { readonly tags: Tags }>
  readonly health: ReadonlyMap<string, MemberHealth>
  /** Results of the pool's own checks. */
  readonly checks: ReadonlyMap<string, MemberHealth> | undefined
  /** Who holds the leader key; undefined while nobody does. */
  readonly leader: string | undefined
  /** The member that takes new write sessions. */
  readonly writer: string | undefined
  readonly sync: SyncState | undefined
  readonly lags: ReadonlyMap<string, Lag>
  /** Members that answer a ping while the store still has their key. */
  readonly vouched: ReadonlySet<string>
  /** The pool as it is now. */
  readonly previous: readonly string[]
}

/** The pool's members by name, in a fixed order. */
export function poolMembers(pool: PoolSpec, evidence: PoolEvidence): readonly string[] {
  if (pool.kind === 'servers') return checkedServers(pool, evidence)
  const names = [...evidence.members.keys()].filter(name => belongs(pool, name, evidence)).sort()
  const members = withoutBackups(pool, names)
  return members.length > 0 ? members : lonelyStandbyLeader(pool, evidence)
}

function belongs(pool: PoolSpec, name: string, evidence: PoolEvidence): boolean {
  const health = evidence.health.get(name) ?? unknownHealth
  const tags = evidence.members.get(name)?.tags ?? {}
  if (pool.servers.some(server => server.name === name && server.isDisabled)) return false
  if (pool.kind === 'standby-leader') return isStandbyLeader(name, health, evidence)
  if (name === evidence.leader)
    return pool.kind === 'any' && name === evidence.writer && isAnyPrimary(health, pool, tags)
  return readsFrom(name, health, tags, evidence) && passes(pool.filter, name, health, tags, evidence)
}

/** A standby cluster's leader takes no writes that reads could disturb: it serves them when no replica does. */
function lonelyStandbyLeader(pool: PoolSpec, evidence: PoolEvidence): readonly string[] {
  const { leader } = evidence
  if (leader === undefined || pool.kind === 'standby-leader' || pool.filter.sync === 'sync') return []
  const health = evidence.health.get(leader) ?? unknownHealth
  const tags = evidence.members.get(leader)?.tags ?? {}
  const isDisabled = pool.servers.some(({ name, isDisabled: isOut }) => name === leader && isOut)
  const isOut = isDisabled || evidence.nowMs < health.avoidUntilMs || isTagged(tags, 'noloadbalance')
  if (isOut || !isStandbyLeader(leader, health, evidence)) return []
  return hasTags(pool.filter, health.answer?.tags ?? {}, tags) ? [leader] : []
}

/** Its agent is silent, or gets nothing out of it, but its server answers and its key is there: it stays, and does not come in that way. */
function readsFrom(name: string, health: MemberHealth, tags: Tags, evidence: PoolEvidence): boolean {
  if (servesReads(health, tags, evidence.nowMs)) return true
  if (!evidence.vouched.has(name) || !evidence.previous.includes(name) || !speaksForItself(health))
    return false
  return servesReads({ ...health, counter: { isUp: true, against: 0 } }, tags, evidence.nowMs)
}

function isStandbyLeader(name: string, { answer, counter }: MemberHealth, evidence: PoolEvidence): boolean {
  if (name !== evidence.leader || answer === undefined) return false
  return counter.isUp && answer.role === 'standby_leader' && answer.state === 'running'
}

function isAnyPrimary({ answer }: MemberHealth, { filter }: PoolSpec, tags: Tags): boolean {
  if (answer === undefined || !isRunningPrimary(answer)) return false
  return hasTags(filter, answer.tags, tags) && !isTagged(tags, 'noloadbalance')
}

function passes(
  filter: MemberFilter,
  name: string,
  health: MemberHealth,
  tags: Tags,
  evidence: PoolEvidence,
): boolean {
  const { answer } = health
  if (answer === undefined || !hasTags(filter, answer.tags, tags)) return false
  if (filter.streamingOnly && answer.replicationState !== 'streaming') return false
  if (filter.sync !== 'any') {
    const isSync = evidence.sync === undefined ? answer.isSync : isInSync(evidence.sync, name)
    if (isSync !== (filter.sync === 'sync')) return false
  }
  return isNearEnough(evidence.lags.get(name), filter, evidence.previous.includes(name))
}

function hasTags(filter: MemberFilter, told: Tags, kept: Tags): boolean {
  return Object.entries(filter.tags).every(([name, wanted]) => {
    const value = told[name] ?? kept[name]
    return value !== undefined && String(value).toLowerCase() === wanted.toLowerCase()
  })
}

/** Backups take sessions only when nobody else does; the first one alone, unless the file says all. */
function withoutBackups(pool: PoolSpec, names: readonly string[]): readonly string[] {
  const backups = new Set(pool.servers.filter(({ isBackup }) => isBackup).map(({ name }) => name))
  const active = names.filter(name => !backups.has(name))
  if (active.length > 0 || backups.size === 0) return active
  const present = pool.servers.map(({ name }) => name).filter(name => names.includes(name))
  return pool.allBackups ? present : present.slice(0, 1)
}

function checkedServers(pool: PoolSpec, { checks }: PoolEvidence): readonly string[] {
  const up = pool.servers.filter(server => {
    if (server.isDisabled) return false
    if (!server.hasCheck) return true
    const health = checks?.get(server.name)
    if (health === undefined || !health.counter.isUp) return false
    return !(server.drainsOn404 && health.answer?.statusCode === 404)
  })
  return withoutBackups(
    pool,
    up.map(({ name }) => name),
  )
}
