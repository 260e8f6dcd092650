// Who may take a free leader key. Pure: positions, timelines and tags in, a verdict with its reason out.
// Contract: docs/contracts/ha-loop.md, "The race".

import { clusterTimeline } from '../cluster/history.ts'
import { asInteger } from '../cluster/json.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
import { mayLead, type Tags } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { ServerFacts } from '../postgres/port.ts'
import type { PeerAnswer, Snapshot } from './snapshot.ts'

export type Verdict = { readonly mayLead: true } | { readonly mayLead: false; readonly because: string }

const yes: Verdict = { mayLead: true }
const no = (because: string): Verdict => ({ mayLead: false, because })

/** How far this server's WAL reaches. */
export function walPosition(facts: ServerFacts): Lsn {
  if (facts.role === 'primary') return facts.writeLsn ?? 0n
  const received = facts.receivedLsn ?? 0n
  const replayed = facts.replayedLsn ?? 0n
  return received > replayed ? received : replayed
}

/** The priority of a member that says nothing about it is 1. */
export function failoverPriority(tags: Tags): number {
  return asInteger(tags['failover_priority']) ?? 1
}

/** What can be judged without asking anybody. */
export function gate(snapshot: Snapshot, view: ClusterView, facts: ServerFacts): Verdict {
  const { self, config } = snapshot
  if (!mayLead(self)) {
    return no('following a different leader because I am not allowed to promote')
  }
  const timeline = clusterTimeline(view.history?.value)
  if (
    timeline !== undefined &&
    (facts.role === 'primary' || config.checkTimeline) &&
    facts.timeline < timeline
  ) {
    return no(`my timeline ${facts.timeline} is behind the cluster's timeline ${timeline}`)
  }
  const request = view.request?.value
  if (
    request?.candidate !== undefined &&
    request.candidate !== self.name &&
    request.scheduledAt === undefined
  ) {
    const candidate = view.members.get(request.candidate)
    if (candidate?.state === 'running') return no(`${request.candidate} is the named candidate`)
  }
  if (request?.leader === self.name && request.scheduledAt === undefined && othersCanLead(view, self.name)) {
    return no('I am the leader that this switchover takes over from')
  }
  const optime = view.status.optime
  const isNamed = request?.candidate === self.name
  if (!isNamed && facts.role === 'replica' && optime !== undefined) {
    const lagBytes = optime - walPosition(facts)
    if (lagBytes > config.maximumLagOnFailoverBytes) {
      return no(`my position is ${lagBytes} bytes behind the last leader's, over maximum_lag_on_failover`)
    }
  }
  return yes
}

function othersCanLead(view: ClusterView, me: string): boolean {
  for (const member of view.members.values()) {
    const canLead = mayLead(member)
    if (member.name !== me && member.state === 'running' && canLead) return true
  }
  return false
}

/** Everyone whose answer the race wants: members of the last view with a leader, and members now. */
export function peersToAsk(
  view: ClusterView,
  electorate: ReadonlyMap<string, string>,
  me: string,
): ReadonlyMap<string, string> {
  const peers = new Map(electorate)
  for (const member of view.members.values()) {
    if (member.apiUrl !== undefined) peers.set(member.name, member.apiUrl)
  }
  peers.delete(me)
  return peers
}

interface Candidate {
  readonly position: Lsn
  readonly timeline: Timeline
  readonly priority: number
}

/** Compares us with everyone who answered. Members that cannot be reached have no say. */
export function compare(snapshot: Snapshot, facts: ServerFacts, peers: readonly PeerAnswer[]): Verdict {
  const mine: Candidate = {
    position: walPosition(facts),
    timeline: facts.timeline,
    priority: failoverPriority(snapshot.self.tags),
  }
  const isNamed = snapshot.view?.request?.value.candidate === snapshot.self.name
  for (const peer of peers) {
    if (!peer.isReachable) continue
    const verdict = compareWith(mine, facts, peer, isNamed)
    if (!verdict.mayLead) return verdict
  }
  return yes
}

function compareWith(mine: Candidate, facts: ServerFacts, peer: PeerAnswer, isNamed: boolean): Verdict {
  const isLaterTimeline = peer.timeline !== undefined && peer.timeline > mine.timeline
  if (peer.isPrimary) {
    // Two running primaries: the one whose timeline is behind has been overtaken and must not win by silence.
    if (facts.role === 'primary' && !isLaterTimeline) return yes
    return no(`primary (${peer.name}) is still alive`)
  }
  if (isLaterTimeline) return no(`${peer.name} is on the later timeline ${peer.timeline}`)
  // A running primary's position was read before the peers answered: its own standbys may seem ahead by then.
  if (facts.role === 'primary') return yes
  if (!peer.mayLead || peer.watchdogFailed || peer.walPosition === undefined) return yes
  if (peer.walPosition > mine.position) return no(`Wal position of ${peer.name} is ahead of my wal position`)
  if (!isNamed && peer.walPosition === mine.position && peer.failoverPriority > mine.priority) {
    return no(
      `${peer.name} has equally tolerable WAL position and priority ${peer.failoverPriority}, ` +
        `while this node has priority ${mine.priority}`,
    )
  }
  return yes
}
