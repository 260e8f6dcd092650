// Where traffic may go: a pure function of the evidence. The write pool has one backend at most, and only while
// evidence that has not expired names it.

import type { Epoch } from '../cluster/epoch.ts'
import type { HostPort, Tags } from '../cluster/member.ts'
import type { SyncState } from '../cluster/sync.ts'
import type { OnDcsLoss } from '../config/proxy/types.ts'
import { type MemberHealth, primaryVerdict, speaksForItself, unknownHealth } from '../health/verdict.ts'
import type { Lag } from './lag.ts'
import type { Leadership } from './leadership.ts'
import { type PoolMembers, type PoolSpec, poolMembers } from './pool-members.ts'

/** How long a server's answer to a ping speaks for it while nobody else does. */
const PING_COUNTS_MS = 1_500

/** What a server itself answered to a start-up packet. */
export interface Ping {
  readonly answer: 'accepting' | 'rejecting' | 'silent'
  /** Monotonic time before the question left. */
  readonly sentAtMs: number
}

export interface EvidenceMember {
  readonly tags: Tags
  readonly address: HostPort
  readonly absentSinceMs?: number | undefined
}

/** Everything a route is decided from, at one monotonic instant. */
export interface Evidence {
  readonly nowMs: number
  readonly leadership: Leadership
  /** Known members; only those can be routed to. */
  readonly members: ReadonlyMap<string, EvidenceMember>
  readonly health: ReadonlyMap<string, MemberHealth>
  readonly pools: readonly PoolSpec[]
  /** Results of a pool's own checks, by pool and member. */
  readonly checks: ReadonlyMap<string, ReadonlyMap<string, MemberHealth>>
  readonly sync: SyncState | undefined
  readonly lags: ReadonlyMap<string, Lag>
  readonly pings: ReadonlyMap<string, Ping>
  /** Is a leader's server asked itself before the first session goes there? */
  readonly needsPing: boolean
  readonly onDcsLoss: OnDcsLoss
  readonly isStoreSilent: boolean
  /** A change of leader was asked for: the present one takes no new sessions. */
  readonly isClosing: boolean
  /** The table that is in force. */
  readonly previous: RoutingTable
}

/** The one backend of the write pool. */
export interface WriteRoute {
  readonly epoch: Epoch
  /** Monotonic time at which the last piece of evidence ends: not one byte is forwarded from then on. */
  readonly untilMs: number
  /** May new sessions start, or do only the present ones go on? */
  readonly takesNew: boolean
}

export interface RoutingTable {
  readonly write: WriteRoute | undefined
  /** Members that take reads in any pool, by name. */
  readonly reads: readonly string[]
  /** Members of each pool of reads. */
  readonly pools: ReadonlyMap<string, readonly string[]>
  /** Servers of each pool that take no new sessions and keep those that they have. */
  readonly rests: ReadonlyMap<string, readonly string[]>
}

export const emptyTable: RoutingTable = { write: undefined, reads: [], pools: new Map(), rests: new Map() }

/**
 * Decides. The leader is the epoch of the leader key. Its lease (while the key exists) and its own answers each extend
 * the route to their deadline. New sessions need the key, and the server's own word, asked for in this epoch, that it
 * left recovery and runs.
 */
export function route(evidence: Evidence): RoutingTable {
  const write = writeRoute(evidence)
  const found = evidence.pools.map(pool => [pool.name, readPool(pool, evidence, write)] as const)
  const pools = new Map(found.map(([name, { takes }]) => [name, takes]))
  const rests = new Map(found.map(([name, { rests: resting }]) => [name, resting]))
  const reads = [...new Set([...pools.values()].flat())].sort()
  return { write, reads, pools, rests }
}

function writeRoute(evidence: Evidence): WriteRoute | undefined {
  const { nowMs, leadership, members, health, onDcsLoss, isStoreSilent } = evidence
  const { epoch, hasKey } = leadership
  if (epoch === undefined || !members.has(epoch.member)) return undefined
  const leader = health.get(epoch.member) ?? unknownHealth
  const isAlone = isStoreSilent && onDcsLoss === 'close'
  const untilMs = Math.max(
    hasKey ? leadership.leaseUntilMs : Number.NEGATIVE_INFINITY,
    isAlone ? Number.NEGATIVE_INFINITY : ownProof(leader, leadership),
  )
  if (untilMs <= nowMs) return undefined
  const isPrimary = primaryVerdict(leader, leadership.seenAtMs) === 'primary'
  const takesNew = hasKey && isPrimary && !evidence.isClosing && takesConnections(evidence, epoch.member)
  return { epoch, untilMs, takesNew }
}

/**
 * The server's own answer to a start-up packet, sent in this epoch and after the last refused connection. While its agent
 * gets nothing out of it, the answer must be a fresh one: it may hang.
 */
function takesConnections(evidence: Evidence, member: string): boolean {
  if (!evidence.needsPing) return true
  const { pings, health, nowMs } = evidence
  const ping = pings.get(member)
  if (ping?.answer !== 'accepting' || ping.sentAtMs < askedSince(evidence, member)) return false
  const unsureSinceMs = health.get(member)?.unsureSinceMs
  return unsureSinceMs === undefined || nowMs - Math.max(unsureSinceMs, ping.sentAtMs) <= PING_COUNTS_MS
}

/** Only pings sent later than this count for the leader. */
export function askedSince({ leadership, health }: Evidence, member: string): number {
  return Math.max(leadership.seenAtMs, health.get(member)?.refusedAtMs ?? Number.NEGATIVE_INFINITY)
}

/** The leader's own answers count only if they were asked for in this epoch: it may have led before. */
function ownProof(leader: MemberHealth, leadership: Leadership): number {
  const isOfThisEpoch = leader.answer !== undefined && leader.answer.sentAtMs >= leadership.seenAtMs
  return isOfThisEpoch ? leader.leadsUntilMs : Number.NEGATIVE_INFINITY
}

function readPool(pool: PoolSpec, evidence: Evidence, write: WriteRoute | undefined): PoolMembers {
  const { leadership, nowMs, members, health, sync, lags, checks, previous } = evidence
  return poolMembers(pool, {
    nowMs,
    members,
    health,
    sync,
    lags,
    checks: checks.get(pool.name),
    leader: leadership.hasKey ? leadership.epoch?.member : undefined,
    writer: write?.takesNew === true ? write.epoch.member : undefined,
    vouched: vouchedFor(evidence),
    previous: previous.pools.get(pool.name) ?? [],
  })
}

/** Members whose server answers itself and whose key is in the store. */
function vouchedFor({ pings, members, nowMs }: Evidence): ReadonlySet<string> {
  const names = [...pings].filter(([name, { answer, sentAtMs }]) => {
    const member = members.get(name)
    const isPresent = member !== undefined && member.absentSinceMs === undefined
    return answer === 'accepting' && nowMs - sentAtMs <= PING_COUNTS_MS && isPresent
  })
  return new Set(names.map(([name]) => name))
}

/** Members that should be asked themselves now: a leader that could take sessions, and whoever nobody else speaks for. */
export function wantsPing(evidence: Evidence): readonly string[] {
  if (!evidence.needsPing) return []
  const { leadership, health, previous } = evidence
  const leader = leadership.hasKey ? leadership.epoch?.member : undefined
  const wanted = previous.reads.filter(name => speaksForItself(health.get(name)))
  const isAsked =
    leader !== undefined &&
    (!takesConnections(evidence, leader) || health.get(leader)?.unsureSinceMs !== undefined)
  return isAsked && leader !== undefined ? [...new Set([leader, ...wanted])] : wanted
}
