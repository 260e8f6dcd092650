// Who leads, as far as the store has told us. Pure: each function takes what is believed and one new fact, and returns
// what to believe next. Facts may come late, twice or from a store that was put back to an older state.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import type { LeaderKey, Position } from '../cluster/view.ts'

/** What is believed. `epoch` outlives its key: deletion of the key retires nobody. */
export interface Leadership {
  /** Undefined before the first read. */
  readonly clusterId: string | undefined
  /** The revision up to which the leader key is known. */
  readonly revision: bigint
  /** The highest revision that any answer of this etcd cluster carried. */
  readonly highest: bigint
  readonly epoch: Epoch | undefined
  /** The create_revision under which the epoch goes on: its leader took the vanished key again and never stopped. */
  readonly continuedAs: bigint | undefined
  /** Does the key exist, by the last word of the store? */
  readonly hasKey: boolean
  readonly leaseId: bigint
  /** Monotonic time until which the leader's lease lives at least. */
  readonly leaseUntilMs: number
  /** Monotonic time at which this epoch was first seen: only answers asked for later may confirm it. */
  readonly seenAtMs: number
  /** Monotonic time at which the key was seen to be gone. */
  readonly goneAtMs: number | undefined
}

export const unknownLeadership: Leadership = {
  clusterId: undefined,
  revision: 0n,
  highest: 0n,
  epoch: undefined,
  continuedAs: undefined,
  hasKey: false,
  leaseId: 0n,
  leaseUntilMs: Number.NEGATIVE_INFINITY,
  seenAtMs: Number.NEGATIVE_INFINITY,
  goneAtMs: undefined,
}

/**
 * What a fact changed. `restored`: the store was restored or replaced, everything believed before is void. `late`: older
 * than what is known, ignored. `foreign`: another etcd cluster's event, ignored until a read tells the truth.
 */
export type Change =
  | 'none'
  | 'epoch'
  | 'key-gone'
  | 'key-back'
  | 'reattached'
  | 'restored'
  | 'late'
  | 'foreign'

export interface Believed {
  readonly next: Leadership
  readonly change: Change
}

/** A linearizable read of the leader key. */
export interface LeaderRead {
  readonly position: Position
  readonly leader: LeaderKey | undefined
  /** The create_revision that the holder says to continue. */
  readonly continues?: bigint | undefined
  /** The highest revision known when the read was sent: an answer below it proves that the store went back. */
  readonly highestWhenSent: bigint
  readonly atMs: number
}

/** Takes a linearizable read. */
export function applyRead(believed: Leadership, read: LeaderRead): Believed {
  const { position } = read
  if (believed.clusterId === undefined) return adopt(startOf(position), read)
  if (position.clusterId !== believed.clusterId || position.revision < read.highestWhenSent) {
    return { next: adopt(startOf(position), read).next, change: 'restored' }
  }
  if (position.revision < believed.revision) return { next: believed, change: 'late' }
  return adopt(believed, read)
}

function startOf(position: Position): Leadership {
  return { ...unknownLeadership, clusterId: position.clusterId }
}

function adopt(believed: Leadership, read: LeaderRead): Believed {
  const { position, leader, atMs } = read
  const known = {
    ...believed,
    revision: position.revision,
    highest: max(believed.highest, position.revision),
  }
  return leader === undefined ? withoutKey(known, atMs) : withKey(known, leader, atMs, read.continues)
}

/** A watch event about the leader key: `leader` undefined means that it was deleted at `revision`. */
export interface LeaderEvent {
  readonly position: Position
  readonly revision: bigint
  readonly leader: LeaderKey | undefined
  /** The create_revision that the holder says to continue. */
  readonly continues?: bigint | undefined
  readonly atMs: number
}

/** Takes a watch event. The key is ordered by its own revision: a header's may run ahead of events still to come. */
export function applyEvent(believed: Leadership, event: LeaderEvent): Believed {
  if (believed.clusterId === undefined) return { next: believed, change: 'foreign' }
  if (event.position.clusterId !== believed.clusterId) return { next: believed, change: 'foreign' }
  const seen = applyPosition(believed, event.position)
  if (event.revision <= believed.revision) return { next: seen, change: 'late' }
  const known = { ...seen, revision: event.revision }
  return event.leader === undefined
    ? withoutKey(known, event.atMs)
    : withKey(known, event.leader, event.atMs, event.continues)
}

/** Takes the position of an answer that says nothing about the leader key. */
export function applyPosition(believed: Leadership, position: Position): Leadership {
  if (position.clusterId !== believed.clusterId || position.revision <= believed.highest) return believed
  return { ...believed, highest: position.revision }
}

function withoutKey(known: Leadership, atMs: number): Believed {
  if (!known.hasKey) return { next: known, change: 'none' }
  const next = { ...known, hasKey: false, leaseUntilMs: Number.NEGATIVE_INFINITY, goneAtMs: atMs }
  return { next, change: 'key-gone' }
}

function withKey(
  known: Leadership,
  leader: LeaderKey,
  atMs: number,
  continues: bigint | undefined,
): Believed {
  const epoch: Epoch = {
    clusterId: known.clusterId ?? '',
    createRevision: leader.createRevision,
    member: leader.name,
  }
  if (known.epoch !== undefined && sameEpoch(known.epoch, epoch)) {
    const next = { ...known, hasKey: true, goneAtMs: undefined, leaseId: leader.leaseId }
    if (!known.hasKey) return { next, change: 'key-back' }
    // The old lease's deadline stays until the new lease is asked about: this write has just proved that the holder lives.
    return { next, change: known.leaseId === leader.leaseId ? 'none' : 'reattached' }
  }
  if (isContinued(known, leader, continues)) {
    const { leaseId, createRevision } = leader
    const next = { ...known, continuedAs: createRevision, hasKey: true, goneAtMs: undefined, leaseId }
    if (known.leaseId !== leaseId) return { next, change: 'reattached' }
    return { next, change: known.hasKey ? 'none' : 'key-back' }
  }
  const next = {
    ...known,
    epoch,
    continuedAs: undefined,
    hasKey: true,
    leaseId: leader.leaseId,
    leaseUntilMs: Number.NEGATIVE_INFINITY,
    seenAtMs: atMs,
  }
  return { next, change: 'epoch' }
}

/** The same leader under another revision of its key, by its own word: the key had vanished, but nobody else has led. */
function isContinued(
  { epoch, continuedAs }: Leadership,
  leader: LeaderKey,
  continues: bigint | undefined,
): boolean {
  if (epoch === undefined || epoch.member !== leader.name) return false
  if (leader.createRevision === continuedAs) return true
  return continues !== undefined && continues === (continuedAs ?? epoch.createRevision)
}

/** What the store said about a lease; `leftSeconds` undefined: it no longer exists. */
export interface LeaseAnswer {
  readonly leaseId: bigint
  readonly leftSeconds: number | undefined
  readonly sentAtMs: number
}

/**
 * Takes a lease's remaining lifetime. Each answer is a lower bound of the end (the store rounds down to whole seconds),
 * so the latest end counts.
 */
export function applyLease(believed: Leadership, answer: LeaseAnswer): Leadership {
  if (!believed.hasKey || answer.leaseId !== believed.leaseId) return believed
  if (answer.leftSeconds === undefined || answer.leftSeconds < 0) {
    return { ...believed, leaseUntilMs: Number.NEGATIVE_INFINITY }
  }
  const untilMs = answer.sentAtMs + answer.leftSeconds * 1000
  return { ...believed, leaseUntilMs: Math.max(believed.leaseUntilMs, untilMs) }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
