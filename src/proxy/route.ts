// Where traffic may go: a pure function of the evidence. The write pool has one backend at most, and only while
// evidence that has not expired names it.

import type { Epoch } from '../cluster/epoch.ts'
import type { Tags } from '../cluster/member.ts'
import { type MemberHealth, primaryVerdict, servesReads, unknownHealth } from '../health/verdict.ts'
import type { Leadership } from './leadership.ts'

/** Everything a route is decided from, at one monotonic instant. */
export interface Evidence {
  readonly nowMs: number
  readonly leadership: Leadership
  /** Known members; only those can be routed to. */
  readonly members: ReadonlyMap<string, { readonly tags: Tags }>
  readonly health: ReadonlyMap<string, MemberHealth>
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
  /** Replicas that take reads, by name. */
  readonly reads: readonly string[]
}

export const emptyTable: RoutingTable = { write: undefined, reads: [] }

/**
 * Decides. The leader is the epoch of the leader key. Its lease (while the key exists) and its own answers each extend
 * the route to their deadline. New sessions need the key, and the server's own word, asked for in this epoch, that it
 * left recovery and runs.
 */
export function route(evidence: Evidence): RoutingTable {
  return { write: writeRoute(evidence), reads: readRoutes(evidence) }
}

function writeRoute({ nowMs, leadership, members, health }: Evidence): WriteRoute | undefined {
  const { epoch, hasKey } = leadership
  if (epoch === undefined || !members.has(epoch.member)) return undefined
  const leader = health.get(epoch.member) ?? unknownHealth
  const untilMs = Math.max(
    hasKey ? leadership.leaseUntilMs : Number.NEGATIVE_INFINITY,
    ownProof(leader, leadership),
  )
  if (untilMs <= nowMs) return undefined
  const takesNew = hasKey && primaryVerdict(leader, leadership.seenAtMs) === 'primary'
  return { epoch, untilMs, takesNew }
}

/** The leader's own answers count only if they were asked for in this epoch: it may have led before. */
function ownProof(leader: MemberHealth, leadership: Leadership): number {
  const isOfThisEpoch = leader.answer !== undefined && leader.answer.sentAtMs >= leadership.seenAtMs
  return isOfThisEpoch ? leader.leadsUntilMs : Number.NEGATIVE_INFINITY
}

function readRoutes({ leadership, members, health }: Evidence): readonly string[] {
  const names: string[] = []
  for (const [name, member] of members) {
    if (leadership.hasKey && name === leadership.epoch?.member) continue
    if (servesReads(health.get(name) ?? unknownHealth, member.tags)) names.push(name)
  }
  return names.sort()
}

/** Same destinations, whatever their deadlines? */
export function sameDestinations(a: RoutingTable, b: RoutingTable): boolean {
  if (a.write?.takesNew !== b.write?.takesNew || a.write?.epoch !== b.write?.epoch) return false
  return a.reads.length === b.reads.length && a.reads.every((name, index) => name === b.reads[index])
}
