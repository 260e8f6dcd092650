// Who could take over from us, and whether anybody can: asked before we give the lead away.

import { clusterTimeline } from '../../cluster/history.ts'
import { type Member, mayLead } from '../../cluster/member.ts'
import type { FailoverRequest } from '../../cluster/request.ts'
import type { SyncState } from '../../cluster/sync.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { DynamicConfig } from '../../config/agent/types.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import { syncPromise, walPosition } from '../race.ts'
import type { PeerAnswer, Self, Snapshot } from '../snapshot.ts'
import { includesName, sameName } from '../sync/names.ts'

/** A request that names nobody: whoever is fit. The leader's own name in it keeps it from being a forced one. */
export const anybody = (me: string): FailoverRequest => ({
  leader: me,
  candidate: undefined,
  scheduledAt: undefined,
})

/** Those who could take over, and with a quorum all whose votes they need. */
export function heirsToAsk(
  { config, self }: Pick<Snapshot, 'config'> & { readonly self: Pick<Self, 'name'> },
  view: ClusterView,
  request: FailoverRequest,
): ReadonlyMap<string, string> {
  const promise = syncPromise(config, view)
  const urls = new Map<string, string>()
  for (const member of view.members.values()) {
    const isVoter = promise !== undefined && includesName(promise.standbys, member.name)
    const isAsked =
      isCandidate(member, request, promise) || (promise !== undefined && promise.quorum > 0 && isVoter)
    if (isAsked && member.name !== self.name && member.apiUrl !== undefined)
      urls.set(member.name, member.apiUrl)
  }
  return urls
}

export type Heirs = { readonly names: readonly string[] } | { readonly obstacle: string }

/**
 * The members that can take over by what they say themselves. With `facts` (our server runs) only those that stream from
 * it: they will have everything that it writes until its end.
 */
export function findHeirs(
  snapshot: Pick<Snapshot, 'config'>,
  view: ClusterView,
  request: FailoverRequest,
  facts: ServerFacts | undefined,
  peers: readonly PeerAnswer[],
): Heirs {
  const promise = syncPromise(snapshot.config, view)
  const isForced = request.leader === undefined
  const names = peers.flatMap(peer => {
    const member = view.members.get(peer.name)
    const isFit =
      member !== undefined && isCandidate(member, request, promise) && canLead(peer, snapshot, view, facts)
    return isFit ? [peer.name] : []
  })
  if (names.length === 0) {
    const among = promise === undefined || isForced ? 'no member' : 'no synchronous standby'
    return { obstacle: `${among} is able to take over` }
  }
  if (promise === undefined || isForced) return { names }
  const seen = peers.filter(({ name, isReachable }) => isReachable && includesName(promise.standbys, name))
  return seen.length > promise.quorum ? { names } : { obstacle: 'too few voters answer: nobody could win' }
}

/** In a synchronous mode only those who have every commit, unless the operator forces it (a failover without a leader's name). */
function isCandidate(
  member: Member,
  { candidate, leader }: FailoverRequest,
  promise: SyncState | undefined,
): boolean {
  if (candidate !== undefined && candidate !== member.name) return false
  const isForced = leader === undefined
  const isSafe = promise === undefined || isForced || includesName(promise.standbys, member.name)
  return isSafe && mayLead(member)
}

/** Who is behind the history's timeline would not enter the race (see gate.ts): nobody gives way to him. */
function isOnClusterTimeline(
  { timeline }: PeerAnswer,
  { checkTimeline, standbyCluster }: DynamicConfig,
  view: ClusterView,
): boolean {
  const cluster = clusterTimeline(view.history?.value)
  if (cluster === undefined || !checkTimeline || standbyCluster !== undefined) return true
  return timeline !== undefined && timeline >= cluster
}

/** The members through which this one gets its WAL, by the tags, from the nearest on. */
function sourcesOf({ members }: ClusterView, name: string): readonly string[] {
  const sources: string[] = []
  for (let me = name; sources.length < members.size; ) {
    const next = members.get(me)?.tags['replicatefrom']
    if (typeof next !== 'string' || next === name || sources.includes(next)) break
    sources.push(next)
    me = next
  }
  return sources
}

function canLead(
  peer: PeerAnswer,
  { config }: Pick<Snapshot, 'config'>,
  view: ClusterView,
  facts: ServerFacts | undefined,
): boolean {
  if (!peer.isReachable || peer.isPrimary || !peer.mayLead || peer.watchdogFailed) return false
  if (peer.walPosition === undefined) return false
  // It could not write the first record of its own timeline.
  if (peer.storageSilentMs !== undefined || peer.storageRefusal !== undefined) return false
  if (facts === undefined) {
    const lagBytes = (view.status.optime ?? 0n) - peer.walPosition
    return lagBytes <= config.maximumLagOnFailoverBytes && isOnClusterTimeline(peer, config, view)
  }
  if (peer.timeline !== undefined && peer.timeline < facts.timeline) return false
  const streams = (name: string) =>
    facts.senders.some(
      ({ applicationName, state }) => state === 'streaming' && sameName(applicationName, name),
    )
  // A cascading one gets everything through the members between.
  const isReached = streams(peer.name) || (peer.isStreaming && sourcesOf(view, peer.name).some(streams))
  return isReached && walPosition(facts) - peer.walPosition <= config.maximumLagOnFailoverBytes
}
