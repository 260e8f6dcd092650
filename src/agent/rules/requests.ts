// A switchover or manual failover that the leader is asked for.

import { type Member, mayLead } from '../../cluster/member.ts'
import type { FailoverRequest } from '../../cluster/request.ts'
import type { SyncState } from '../../cluster/sync.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { syncPromise, walPosition } from '../race.ts'
import type { Memory, PeerAnswer, Snapshot } from '../snapshot.ts'
import { includesName } from '../sync/names.ts'
import { say } from './say.ts'

const LATE_FACTOR = 1.5

/** Hand over in order if somebody can take over; otherwise say why not and clear the request. */
export function handleRequest(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const request = view.request?.value
  if (request === undefined) return undefined
  const { self, peers } = snapshot
  const timing = whenDue(request, snapshot)
  if (timing === 'later') return undefined
  const refusal = timing === 'too-late' ? 'its time has passed' : misnamed(request, self.name)
  if (refusal !== undefined) return refuse(refusal, memory)
  if (peers === undefined) {
    return say('ask-candidates', 'switchover requested: asking the candidates', memory, {
      kind: 'ask-peers',
      peers: toAsk(snapshot, view, request),
    })
  }
  const obstacle = whyNobody(snapshot, view, request, facts, peers)
  if (obstacle !== undefined) return refuse(obstacle, memory)
  return say(
    'switchover',
    `manual failover: demoting myself for ${request.candidate ?? 'the best candidate'}`,
    { ...memory, role: 'demoted' },
    { kind: 'demote', demotion: { mode: 'graceful', release: true, candidate: request.candidate } },
  )
}

function refuse(why: string, memory: Memory): Decision {
  return say('request-refused', `cleaning up failover key: ${why}`, memory, { kind: 'clear-request' })
}

function misnamed(request: FailoverRequest, me: string): string | undefined {
  if (request.leader !== undefined && request.leader !== me) return `${request.leader} is not the leader`
  if (request.candidate === me) return `${me} is the leader already`
  return undefined
}

function whenDue(request: FailoverRequest, { config, wallMs }: Snapshot): 'now' | 'later' | 'too-late' {
  if (request.scheduledAt === undefined) return 'now'
  const dueMs = Date.parse(request.scheduledAt)
  if (Number.isNaN(dueMs)) return 'too-late'
  const loopWaitMs = config.loopWaitSeconds * 1000
  if (wallMs - dueMs > loopWaitMs * LATE_FACTOR) return 'too-late'
  return wallMs < dueMs ? 'later' : 'now'
}

/** Those who could take over, and with a quorum all whose votes they need. */
function toAsk(
  { config, self }: Snapshot,
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

function whyNobody(
  snapshot: Snapshot,
  view: ClusterView,
  request: FailoverRequest,
  facts: ServerFacts,
  peers: readonly PeerAnswer[],
): string | undefined {
  const promise = syncPromise(snapshot.config, view)
  const isFit = (peer: PeerAnswer): boolean => {
    const member = view.members.get(peer.name)
    return member !== undefined && isCandidate(member, request, promise) && canTakeOver(peer, snapshot, facts)
  }
  if (!peers.some(isFit)) {
    const among =
      promise === undefined || request.leader === undefined ? 'no member' : 'no synchronous standby'
    return `${among} is able to take over`
  }
  if (promise === undefined || request.leader === undefined) return undefined
  const seen = peers.filter(({ name, isReachable }) => isReachable && includesName(promise.standbys, name))
  return seen.length > promise.quorum ? undefined : 'too few voters answer: nobody could win'
}

function canTakeOver(peer: PeerAnswer, { config }: Snapshot, facts: ServerFacts): boolean {
  if (!peer.isReachable || peer.isPrimary || !peer.mayLead || peer.watchdogFailed) return false
  if (peer.walPosition === undefined || (peer.timeline !== undefined && peer.timeline < facts.timeline))
    return false
  return walPosition(facts) - peer.walPosition <= config.maximumLagOnFailoverBytes
}
