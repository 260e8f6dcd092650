// Carries out a switchover or manual failover: checks it, writes the `failover` key against what was read, wakes the
// agent and watches the outcome. Demoting and promoting are the agents' work.

import { printRequest } from '../cluster/request.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Condition } from '../dcs/dcs.ts'
import type { PeerAnswer } from '../health/peer.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import type { AgentPort } from './agent-port.ts'
import { type Answer, text } from './answer.ts'
import { findCandidates } from './candidates.ts'
import type { Order } from './order.ts'

/** Asks members (name -> api_url) for their own word; who does not answer is in the list as not reachable. */
export type AskPeers = (
  urls: ReadonlyMap<string, string>,
  by: Deadline,
  signal: AbortSignal,
) => Promise<readonly PeerAnswer[]>

export interface SwitchoverParts {
  readonly agent: AgentPort
  readonly askPeers: AskPeers
  readonly clock: Clock
}

const POLL_MS = 250
const SHORTEST_WAIT_SECONDS = 10
const REQUEST_KEY = 'failover'

/** The answer to the order. Ends early, with a rejection, when `signal` aborts: the order then stands all the same. */
export async function carryOut(order: Order, parts: SwitchoverParts, signal: AbortSignal): Promise<Answer> {
  const { agent, clock } = parts
  const retryMs = agent.status().config.retryTimeoutSeconds * 1000
  const view = await agent.dcs.read(Deadline.in(clock, retryMs))
  const refusal = await refuseOrder(order, view, parts, signal)
  if (refusal !== undefined) return text(412, refusal)
  const written = await agent.dcs.write(
    [unchanged(view)],
    [{ kind: 'put', key: REQUEST_KEY, value: printRequest(order.request) }],
    Deadline.in(clock, retryMs),
  )
  if (written.outcome === 'lost') {
    return text(
      409,
      `another ${order.action} was requested at the same moment: look at the cluster and try again`,
    )
  }
  if (written.outcome === 'unreachable') return text(503, 'failed to write failover key into DCS')
  // The write may still arrive: neither success nor failure can be told.
  if (written.outcome === 'unknown') return text(503, `${titleOf(order)} status unknown`)
  agent.wake()
  if (order.request.scheduledAt !== undefined) return text(202, 'Switchover scheduled')
  return watchOutcome(order, view.leader?.name, parts, signal)
}

async function refuseOrder(
  order: Order,
  view: ClusterView,
  { askPeers, clock }: SwitchoverParts,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { candidate, scheduledAt } = order.request
  // Who leads then, and who is fit, is for the leader to judge when it is due; a name that nobody has is a mistake now.
  if (scheduledAt !== undefined) {
    const isNobody = candidate !== undefined && !view.members.has(candidate)
    return isNobody ? 'candidate does not exists' : undefined
  }
  const found = findCandidates(view, order)
  if ('refusal' in found) return found.refusal
  const answers = await askPeers(found.urls, Deadline.in(clock, 2_000), signal)
  const isSomebodyFit = answers.some(answer => answer.isReachable && answer.mayLead && !answer.watchdogFailed)
  return isSomebodyFit ? undefined : `${order.action} is not possible: no good candidates have been found`
}

/** Nobody wrote a request since we read: a compare on the revision, or on absence. */
function unchanged(view: ClusterView): Condition {
  return view.requestModRevision === undefined
    ? { kind: 'absent', key: REQUEST_KEY }
    : { kind: 'mod-revision', key: REQUEST_KEY, revision: view.requestModRevision }
}

/** Looks at the keys until another leader is there, the request is gone without one, or the time is over. */
async function watchOutcome(
  order: Order,
  before: string | undefined,
  { agent, clock }: SwitchoverParts,
  signal: AbortSignal,
): Promise<Answer> {
  const { action, request } = order
  const verb = action === 'switchover' ? 'Switched' : 'Failed'
  const waitSeconds = 2 * Math.max(SHORTEST_WAIT_SECONDS, agent.status().config.loopWaitSeconds)
  const by = Deadline.in(clock, waitSeconds * 1000)
  while (!by.isOver()) {
    await clock.sleep(POLL_MS, signal)
    const view = await agent.dcs.read(by.within(2_000)).catch(() => undefined)
    if (view === undefined) continue
    const leader = view.leader?.name
    if (leader !== undefined && leader !== before) {
      if (request.candidate === undefined || request.candidate === leader) {
        return text(200, `Successfully ${verb.toLowerCase()} over to "${leader}"`)
      }
      return text(200, `${verb} over to "${leader}" instead of "${request.candidate}"`)
    }
    if (view.request === undefined) return text(503, `${titleOf(order)} failed`)
  }
  return text(503, `${titleOf(order)} status unknown`)
}

function titleOf({ action }: Order): string {
  return action === 'switchover' ? 'Switchover' : 'Failover'
}
