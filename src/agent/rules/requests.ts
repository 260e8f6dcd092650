// A switchover or manual failover that the leader is asked for.

import { mayLead } from '../../cluster/member.ts'
import type { FailoverRequest } from '../../cluster/request.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { walPosition } from '../race.ts'
import type { Memory, PeerAnswer, Snapshot } from '../snapshot.ts'
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
      peers: candidates(view, request, self.name),
    })
  }
  const fit = peers.find(peer => canTakeOver(peer, snapshot, facts))
  if (fit === undefined) return refuse('no member is able to take over', memory)
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

function candidates(view: ClusterView, request: FailoverRequest, me: string): ReadonlyMap<string, string> {
  const urls = new Map<string, string>()
  for (const member of view.members.values()) {
    const isWanted = request.candidate === undefined || request.candidate === member.name
    const isFit = mayLead(member)
    if (isWanted && isFit && member.name !== me && member.apiUrl !== undefined) {
      urls.set(member.name, member.apiUrl)
    }
  }
  return urls
}

function canTakeOver(peer: PeerAnswer, { config }: Snapshot, facts: ServerFacts): boolean {
  if (!peer.isReachable || peer.isPrimary || !peer.mayLead || peer.watchdogFailed) return false
  if (peer.walPosition === undefined || (peer.timeline !== undefined && peer.timeline < facts.timeline))
    return false
  return walPosition(facts) - peer.walPosition <= config.maximumLagOnFailoverBytes
}
