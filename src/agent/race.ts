// Who may take a free leader key. Pure: positions, timelines and tags in, a verdict with its reason out.
// Contract: docs/contracts/ha-loop.md, "The race". What cannot be judged alone is in `rules/gate.ts`.

import { asInteger } from '../cluster/json.ts'
import { type Lsn, laterLsn, type Timeline } from '../cluster/lsn.ts'
import type { Tags } from '../cluster/member.ts'
import { isInSync, type SyncState } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { ServerFacts } from '../postgres/port.ts'
import type { Memory, PeerAnswer, Snapshot } from './snapshot.ts'
import { includesName, sameName } from './sync/names.ts'

/**
 * How long after the key's end a synchronous standby that still receives is waited for: longer than a receiver needs to end. A
 * member of another make does not end it.
 */
export const SEALED_WITHIN_MS = 1_500
/** Where an upstream is taken away by a reload; older servers would have to restart. */
const BY_RELOAD_SINCE = 130_000

export type Verdict =
  | { readonly mayLead: true }
  | {
      readonly mayLead: false
      readonly because: string
      /** A receiver that is about to end stands in the way. */
      readonly isForReceivers?: boolean
    }

export const yes: Verdict = { mayLead: true }
export const no = (because: string): Verdict => ({ mayLead: false, because })
const notYet = (because: string): Verdict => ({ mayLead: false, because, isForReceivers: true })

/** Can this server, and every other of its cluster, end its receiver without a restart? */
export function canSeal({ serverVersion }: ServerFacts): boolean {
  return serverVersion >= BY_RELOAD_SINCE
}

/** How far this server's WAL reaches. */
export function walPosition(facts: ServerFacts): Lsn {
  if (facts.role === 'primary') return facts.writeLsn ?? 0n
  return laterLsn(facts.receivedLsn ?? 0n, facts.replayedLsn ?? 0n)
}

/** The priority of a member that says nothing about it is 1. */
export function failoverPriority(tags: Tags): number {
  return asInteger(tags['failover_priority']) ?? 1
}

/** The promise that binds the race: the sync key, while a synchronous mode is on. */
export function syncPromise(
  { synchronousMode }: Pick<DynamicConfig, 'synchronousMode'>,
  view: ClusterView,
): SyncState | undefined {
  return synchronousMode === 'off' ? undefined : view.sync?.value
}

/**
 * Everyone whose answer the race wants: members of the last view with a leader, members now, and those whom failsafe mode
 * counts on. Those who may not lead are asked too: one of them could be a primary that still runs.
 */
export function peersToAsk(
  view: ClusterView,
  electorate: ReadonlyMap<string, string>,
  me: string,
): ReadonlyMap<string, string> {
  const peers = new Map([...Object.entries(view.failsafe ?? {}), ...electorate])
  for (const member of view.members.values()) {
    if (member.apiUrl !== undefined) peers.set(member.name, member.apiUrl)
  }
  peers.delete(me)
  return peers
}

interface Contest {
  readonly facts: ServerFacts
  readonly position: Lsn
  readonly timeline: Timeline
  readonly priority: number
  /** The operator named us: priorities do not count. */
  readonly isNamed: boolean
  /** And nobody to take over from: the operator accepts what may be lost. */
  readonly isForced: boolean
  readonly promise: SyncState | undefined
  readonly lastLeader: string | undefined
  /** Who leads follows another cluster, and gets from there what others have more. */
  readonly isStandbyCluster: boolean
  /** Positions of voters that still receive are waited for no longer. */
  readonly isLate: boolean
  /** The leader that the key names had said that it is no primary before anybody was asked now: it confirms nothing more. */
  readonly isLeaderAtRest: boolean
}

/** What an earlier race was told. */
export type Before = Partial<Pick<Memory, 'lastLeader' | 'restingLeader'>>

/**
 * The leader of the `sync` key, if it answers and is no primary. What voters tell later is final: it commits nothing more, and
 * whoever still streams from it gets nothing that it has not acknowledged before.
 */
export function restingLeader(
  { view, config, nowMs }: Snapshot,
  peers: readonly PeerAnswer[],
): Memory['restingLeader'] {
  const leader = view === undefined ? undefined : syncPromise(config, view)?.leader
  if (leader === undefined) return undefined
  const found = peers.find(
    ({ name, isReachable, isPrimary }) => sameName(name, leader) && isReachable && !isPrimary,
  )
  return found === undefined ? undefined : { name: found.name, atMs: nowMs }
}

/**
 * Does what an earlier race was told still hold? For half a ttl: a leader that has taken the key since, unseen by us, and died with
 * it is followed by no free key before its lease has ended.
 */
function isAtRest(leader: string | undefined, told: Memory['restingLeader'], snapshot: Snapshot): boolean {
  if (leader === undefined || told === undefined || !sameName(leader, told.name)) return false
  return snapshot.nowMs - told.atMs < snapshot.config.ttlSeconds * 500
}

/** Compares us with everyone who answered. Members that cannot be reached have no say, and no vote. */
export function compare(
  snapshot: Snapshot,
  facts: ServerFacts,
  peers: readonly PeerAnswer[],
  { lastLeader, restingLeader: atRest }: Before = {},
): Verdict {
  const { self, view, config } = snapshot
  const promise = view === undefined ? undefined : syncPromise(config, view)
  const request = view?.request?.value
  const contest: Contest = {
    facts,
    position: walPosition(facts),
    timeline: facts.timeline,
    priority: failoverPriority(self.tags),
    isNamed: request?.candidate === self.name,
    isForced: request?.candidate === self.name && request.leader === undefined,
    promise,
    lastLeader: promise?.leader ?? lastLeader,
    isStandbyCluster: config.standbyCluster !== undefined,
    isLate: snapshot.leaderlessMs > SEALED_WITHIN_MS,
    isLeaderAtRest: isAtRest(promise?.leader, atRest, snapshot),
  }
  const answers = peers.filter(({ isReachable }) => isReachable)
  for (const peer of answers) {
    const verdict = compareWith(contest, peer)
    if (!verdict.mayLead) return verdict
  }
  return promise === undefined ? yes : countVotes(promise, self.name, contest, answers)
}

function compareWith(contest: Contest, peer: PeerAnswer): Verdict {
  const { facts, promise } = contest
  // One that may not lead must not keep a standby cluster without a leader.
  const counts = !contest.isStandbyCluster || peer.mayLead
  const isLaterTimeline = peer.timeline !== undefined && peer.timeline > contest.timeline && counts
  if (peer.isPrimary) {
    // Two running primaries: the one whose timeline is behind has been overtaken and must not win by silence.
    if (facts.role === 'primary' && !isLaterTimeline) return yes
    return no(`primary (${peer.name}) is still alive`)
  }
  if (isLaterTimeline) return no(`${peer.name} is on the later timeline ${peer.timeline}`)
  // A running primary's position was read before the peers answered: its own standbys may seem ahead by then.
  if (facts.role === 'primary') return yes
  // It may confirm more to the former leader than it has just told. Later only its vote is waited for.
  if (
    promise !== undefined &&
    peer.isStreaming &&
    !contest.isLate &&
    includesName(promise.standbys, peer.name)
  )
    return notYet(`${peer.name} still receives: its position is not final`)
  if (!peer.mayLead || peer.watchdogFailed || peer.walPosition === undefined) return yes
  // More WAL of an older timeline is what this timeline parted from: it will be rewound.
  if (peer.timeline !== undefined && peer.timeline < contest.timeline) return yes
  // What an unlisted member has more was never acknowledged on the strength of it.
  if (promise !== undefined && !isInSync(promise, peer.name)) return yes
  const isFormerLeader = contest.lastLeader !== undefined && sameName(peer.name, contest.lastLeader)
  return comparePositions(contest, peer, peer.walPosition, isFormerLeader)
}

function comparePositions(contest: Contest, peer: PeerAnswer, theirs: Lsn, isFormerLeader: boolean): Verdict {
  const { position, priority, isNamed, promise } = contest
  if (theirs > position) {
    // The former leader may have written what nobody confirmed; in a synchronous mode that was not acknowledged.
    return promise !== undefined && isFormerLeader
      ? yes
      : no(`Wal position of ${peer.name} is ahead of my wal position`)
  }
  if (isNamed || isFormerLeader || theirs < position || peer.failoverPriority <= priority) return yes
  return no(
    `${peer.name} has equally tolerable WAL position and priority ${peer.failoverPriority}, ` +
      `while this node has priority ${priority}`,
  )
}

/**
 * With a quorum, enough voters must be seen that one of them has every acknowledged commit. The leader that the key names
 * has them all itself. A voter of our make that receives has not sealed its position, be it that it does not see etcd: a
 * former leader whose agent is dead may count on what it confirms next. Where that leader is known to be at rest there is
 * nothing that it could confirm.
 */
function countVotes(
  promise: SyncState,
  me: string,
  contest: Contest,
  answers: readonly PeerAnswer[],
): Verdict {
  if (contest.isForced || (promise.leader !== undefined && sameName(promise.leader, me))) return yes
  const isVoter = includesName(promise.standbys, me)
  const inFavour = answers.filter(
    ({ name, walPosition: theirs, timeline = contest.timeline }) =>
      includesName(promise.standbys, name) &&
      theirs !== undefined &&
      (timeline < contest.timeline || theirs <= contest.position),
  )
  const canChange = !contest.isLeaderAtRest && canSeal(contest.facts)
  const unsealed = inFavour.filter(peer => peer.isStreaming && peer.isOurs && canChange)
  const votes = inFavour.length - unsealed.length - (isVoter ? 0 : 1)
  if (votes >= promise.quorum) return yes
  const because = `I have ${votes} of the ${promise.quorum} votes that the quorum needs`
  if (unsealed.length === 0) return no(because)
  const names = unsealed.map(({ name }) => name).join(', ')
  return notYet(`${because}: ${names} still receives`)
}
