// A switchover or manual failover that the leader is asked for.

import { readStoredTime } from '../../cluster/operator-time.ts'
import type { FailoverRequest } from '../../cluster/request.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { findHeirs, heirsToAsk } from './heirs.ts'
import { say } from './say.ts'

const LATE_FACTOR = 1.5

export type Due =
  | { readonly kind: 'carry-out'; readonly request: FailoverRequest }
  | { readonly kind: 'refuse'; readonly why: string }

/** What is to be done now about the request in the key; undefined when there is none, or none yet. */
export function dueRequest(snapshot: Snapshot, view: ClusterView): Due | undefined {
  const request = view.request?.value
  if (request === undefined) return undefined
  const { self, config } = snapshot
  const timing = whenDue(request, snapshot)
  if (timing === 'later' || (config.isPaused && request.scheduledAt !== undefined)) return undefined
  const why = timing === 'now' ? misnamed(request, self.name, config.isPaused) : timing.never
  return why === undefined ? { kind: 'carry-out', request } : { kind: 'refuse', why }
}

/** Hand over in order if somebody can take over; otherwise say why not and clear the request. */
export function handleRequest(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const due = dueRequest(snapshot, view)
  if (due === undefined) return undefined
  if (due.kind === 'refuse') return refuse(due.why, memory)
  const { request } = due
  if (request.scheduledAt !== undefined) return beginRequest(request, memory)
  const { peers } = snapshot
  if (peers === undefined) {
    return say('ask-candidates', 'switchover requested: asking the candidates', memory, {
      kind: 'ask-peers',
      peers: heirsToAsk(snapshot, view, request),
    })
  }
  const heirs = findHeirs(snapshot, view, request, facts, peers)
  if ('obstacle' in heirs) return refuse(heirs.obstacle, memory)
  const successor = request.candidate ?? 'the best candidate'
  // A standby leader has nothing of its own that the other would have to receive first.
  if (facts.role === 'replica') {
    const says = `manual failover: released leader key for ${successor}`
    return say('standby-switchover', says, memory, { kind: 'release-leader' })
  }
  return say(
    'switchover',
    `manual failover: demoting myself for ${successor}`,
    { ...memory, role: 'demoted' },
    { kind: 'demote', demotion: { mode: 'graceful', release: true, heirs: heirs.names } },
  )
}

/** How long until a scheduled request is due; undefined when there is none, or not within a turn. */
export function dueInMs({ config, wallMs }: Snapshot, view: ClusterView): number | undefined {
  const at = view.request?.value.scheduledAt
  const due = at === undefined ? undefined : readStoredTime(at)
  const inMs = due === undefined ? 0 : due.epochMs - wallMs
  return inMs > 0 && inMs < config.loopWaitSeconds * 1000 ? inMs : undefined
}

/**
 * The leader's clock alone says when a scheduled request is due. From then on it is one like any other: the race heeds its
 * candidate, a proxy holds new sessions, and whoever wins clears it.
 */
export function beginRequest(request: FailoverRequest, memory: Memory): Decision {
  const says = `the time of the switchover that was scheduled for ${request.scheduledAt} has come`
  return say('request-due', says, memory, { kind: 'begin-request', request })
}

/** Clears the request and says why. */
export function refuse(why: string, memory: Memory): Decision {
  return say('request-refused', `cleaning up failover key: ${why}`, memory, { kind: 'clear-request' })
}

function misnamed(request: FailoverRequest, me: string, isPaused: boolean): string | undefined {
  if (isPaused && request.candidate === undefined) return 'while paused it needs a candidate'
  if (request.leader !== undefined && request.leader !== me) return `${request.leader} is not the leader`
  if (request.candidate === me) return `${me} is the leader already`
  return undefined
}

function whenDue(
  { scheduledAt: at }: FailoverRequest,
  { config, wallMs }: Snapshot,
): 'now' | 'later' | { readonly never: string } {
  if (at === undefined) return 'now'
  const due = readStoredTime(at)
  if (due === undefined) return { never: `no time is read from ${JSON.stringify(at)}` }
  const loopWaitMs = config.loopWaitSeconds * 1000
  if (wallMs - due.epochMs > loopWaitMs * LATE_FACTOR) return { never: 'its time has passed' }
  return wallMs < due.epochMs ? 'later' : 'now'
}
