// Which members a pool of reads has: by role, filter, lag, or by the checks of the file. Pure.

import { type HostPort, isTagged, type Tags } from '../cluster/member.ts'
import { isInSync, type SyncState } from '../cluster/sync.ts'
import { addressBytes } from '../config/proxy/access.ts'
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
  readonly address: HostPort
  readonly isBackup: boolean
  readonly isDisabled: boolean
  /** Without a check it counts as up. */
  readonly hasCheck: boolean
  readonly drainsOn404: boolean
  /** A backup: does it take sessions while it is the leader, too? */
  readonly takesLeader: boolean
  /** Do its sessions stay when it goes down? */
  readonly keepsWhenDown: boolean
  /** Do sessions on backups end when it takes sessions again? */
  readonly relievesBackups: boolean
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
  readonly members: ReadonlyMap<string, { readonly tags: Tags; readonly address: HostPort }>
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

export interface PoolMembers {
  /** Those who take new sessions, in a fixed order. */
  readonly takes: readonly string[]
  /** Those who are well and take none: backups that are not needed, servers that drain. Their sessions stay. */
  readonly rests: readonly string[]
}

/** The pool's members by name. */
export function poolMembers(pool: PoolSpec, evidence: PoolEvidence): PoolMembers {
  if (pool.kind === 'servers') return checkedServers(pool, evidence)
  const names = [...evidence.members.keys()].filter(name => belongs(pool, name, evidence)).sort()
  const takes = withoutBackups(inOrder(pool, names, evidence), pool.allBackups)
  if (takes.length === 0) return { takes: lonelyStandbyLeader(pool, evidence), rests: [] }
  return { takes, rests: names.filter(name => !takes.includes(name)) }
}

function belongs(pool: PoolSpec, name: string, evidence: PoolEvidence): boolean {
  const health = evidence.health.get(name) ?? unknownHealth
  const tags = evidence.members.get(name)?.tags ?? {}
  if (lineOf(pool, name, evidence)?.isDisabled === true) return false
  if (pool.kind === 'standby-leader') return isStandbyLeader(name, health, evidence)
  if (name === evidence.leader) {
    const isWanted = pool.kind === 'any' || leaderLine(pool, name, evidence.members) !== undefined
    return isWanted && name === evidence.writer && isAnyPrimary(health, pool, tags)
  }
  return readsFrom(name, health, tags, evidence) && passes(pool.filter, name, health, tags, evidence)
}

/** A standby cluster's leader takes no writes that reads could disturb: it serves them when no replica does. */
function lonelyStandbyLeader(pool: PoolSpec, evidence: PoolEvidence): readonly string[] {
  const { leader } = evidence
  if (leader === undefined || pool.kind === 'standby-leader' || pool.filter.sync === 'sync') return []
  const health = evidence.health.get(leader) ?? unknownHealth
  const tags = evidence.members.get(leader)?.tags ?? {}
  const isDisabled = serverOf(pool, leader, evidence.members)?.isDisabled === true
  const isOut = isDisabled || evidence.nowMs < health.avoidUntilMs || isTagged(tags, 'noloadbalance')
  if (isOut || !isStandbyLeader(leader, health, evidence)) return []
  return hasTags(Object.entries(pool.filter.tags), health.answer?.tags ?? {}, tags) ? [leader] : []
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
  return hasTags(Object.entries(filter.tags), answer.tags, tags) && !isTagged(tags, 'noloadbalance')
}

function passes(
  filter: MemberFilter,
  name: string,
  health: MemberHealth,
  tags: Tags,
  evidence: PoolEvidence,
): boolean {
  const { answer } = health
  if (answer === undefined || !hasTags(Object.entries(filter.tags), answer.tags, tags)) return false
  if (filter.streamingOnly && answer.replicationState !== 'streaming') return false
  if (filter.sync !== 'any') {
    const isSync = evidence.sync === undefined ? answer.isSync : isInSync(evidence.sync, name)
    if (isSync !== (filter.sync === 'sync')) return false
  }
  return isNearEnough(evidence.lags.get(name), filter, evidence.previous.includes(name))
}

/** Has a member, by its own word or by its key, all these tags, whatever their case? */
export function hasTags(wanted: readonly (readonly [string, string])[], told: Tags, kept: Tags): boolean {
  return wanted.every(([name, text]) => {
    const value = told[name] ?? kept[name]
    return value !== undefined && String(value).toLowerCase() === text.toLowerCase()
  })
}

/** Who is up, and what the file says of him. */
interface Placed {
  readonly name: string
  readonly server: PoolServer | undefined
}

/** Backups follow each other as in the file; the others keep the order of their names. */
function inOrder(pool: PoolSpec, names: readonly string[], evidence: PoolEvidence): readonly Placed[] {
  const placed = names.map(name => ({ name, server: lineOf(pool, name, evidence) }))
  const placeOf = ({ server }: Placed) => (server?.isBackup === true ? pool.servers.indexOf(server) : -1)
  return placed.sort((a, b) => placeOf(a) - placeOf(b))
}

/** A leader may have a line of its own as a backup, besides the one that it has as a replica. */
function lineOf(pool: PoolSpec, name: string, { members, leader }: PoolEvidence): PoolServer | undefined {
  const isLeader = name === leader
  return (isLeader ? leaderLine(pool, name, members) : undefined) ?? serverOf(pool, name, members)
}

function leaderLine({ servers }: PoolSpec, name: string, members: Addresses): PoolServer | undefined {
  const address = members.get(name)?.address
  const lines = servers.filter(({ takesLeader, isDisabled }) => takesLeader && !isDisabled)
  return address === undefined ? undefined : serverAt(lines, name, address)
}

type Addresses = ReadonlyMap<string, { readonly address: HostPort }>

/**
 * What the file says of this member: found by its address, since a file may call it anything. A server whose address is a
 * host name, which no member tells, is found by its own name or by that host name.
 */
export function serverOf(
  { kind, servers }: Pick<PoolSpec, 'kind' | 'servers'>,
  member: string,
  members: Addresses,
): PoolServer | undefined {
  if (kind === 'servers') return servers.find(({ name }) => name === member)
  const address = members.get(member)?.address
  if (address === undefined) return undefined
  return serverAt(servers, member, address)
}

/** The same for anything that has a name and an address. */
export function serverAt<Named extends { readonly name: string; readonly address: HostPort }>(
  servers: readonly Named[],
  member: string,
  { host, port }: HostPort,
): Named | undefined {
  return (
    servers.find(({ address }) => address.host === host && address.port === port) ??
    servers.find(
      ({ name, address }) =>
        addressBytes(address.host) === undefined &&
        address.port === port &&
        (name === member || address.host === member),
    )
  )
}

/** Backups take sessions only when nobody else does; the first one alone, unless the file says all. `up` in the order of the file. */
function withoutBackups(up: readonly Placed[], allBackups: boolean): readonly string[] {
  const active = up.filter(({ server }) => server?.isBackup !== true)
  const backups = up.filter(({ server }) => server?.isBackup === true)
  const takes = active.length > 0 ? active : allBackups ? backups : backups.slice(0, 1)
  return takes.map(({ name }) => name)
}

function checkedServers(pool: PoolSpec, { checks }: PoolEvidence): PoolMembers {
  const up = pool.servers.filter(
    ({ name, isDisabled, hasCheck }) =>
      !isDisabled && (!hasCheck || checks?.get(name)?.counter.isUp === true),
  )
  const drains = ({ name, drainsOn404 }: PoolServer) =>
    drainsOn404 && checks?.get(name)?.answer?.statusCode === 404
  const free = up.filter(server => !drains(server)).map(server => ({ name: server.name, server }))
  const takes = withoutBackups(free, pool.allBackups)
  return { takes, rests: up.map(({ name }) => name).filter(name => !takes.includes(name)) }
}
