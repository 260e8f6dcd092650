// Nobody holds the leader key.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import { compare, peersToAsk, restingLeader, walPosition } from '../race.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { gate } from './gate.ts'
import { say, sayUnanswered } from './say.ts'
import { sealPosition } from './seal.ts'

/** Take the key if nobody better answers; a primary that may not take it stops being one. */
export const leaderRace: Rule = (snapshot, memory) => {
  const { view, server, self, peers, acquired } = snapshot
  if (view === undefined || view.leader !== undefined) return undefined
  const { facts } = server
  if (facts === undefined) {
    const says = `no leader, and my server does not answer (${server.trouble ?? 'starting'})`
    return sayUnanswered('race-without-facts', says, memory, server)
  }
  if (acquired === 'lost' || acquired === 'unknown') {
    const says = `(${self.name}) could not take the leader key (${acquired}): reading again`
    return { ...say('race-lost', says, memory), againInMs: HURRY_MS }
  }
  const later = putOff(snapshot, view, facts, memory)
  if (later !== undefined) return later
  // Whoever stays back is asked for its position, too.
  const unsealed = sealPosition(snapshot, view, facts, memory)
  if (unsealed !== undefined) return unsealed
  if (hasRefusedToPromote(snapshot, facts, memory)) {
    return stayBack('pre_promote has just failed here: leaving the lead to others', snapshot, memory)
  }
  const allowed = gate(snapshot, view, facts)
  if (!allowed.mayLead) return stayBack(allowed.because, snapshot, memory)
  if (peers === undefined) {
    const asked = peersToAsk(view, memory.electorate, self.name)
    if (asked.size > 0) {
      return say('ask-peers', 'no leader: asking the others for their positions', memory, {
        kind: 'ask-peers',
        peers: asked,
      })
    }
  }
  const healthiest = compare(snapshot, facts, peers ?? [], memory)
  if (!healthiest.mayLead) {
    // Counts in the next race: what was told beside it now may have been told before it stopped.
    const next = { ...memory, restingLeader: restingLeader(snapshot, peers ?? []) }
    const decision = stayBack(healthiest.because, snapshot, next)
    return healthiest.isForReceivers === true
      ? { ...decision, againInMs: decision.againInMs ?? RECEIVERS_AGAIN_MS }
      : decision
  }
  return say('acquire-leader', 'I am the healthiest: taking the leader key', memory, {
    kind: 'acquire-leader',
  })
}

/** Whatever the script objects to is likely to be there still. */
function hasRefusedToPromote(
  { nowMs, config }: Snapshot,
  { role }: ServerFacts,
  { prePromoteFailedAtMs }: Memory,
): boolean {
  if (prePromoteFailedAtMs === undefined || role === 'primary') return false
  return nowMs - prePromoteFailedAtMs < config.ttlSeconds * 1000
}

/**
 * primary_race_backoff: the key may be gone because etcd is, while the leader still writes. As long as its WAL arrives, and
 * for one turn in any case, nobody runs against it.
 */
function putOff(
  { config, nowMs, leaderlessMs }: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const backoffMs = config.primaryRaceBackoffSeconds * 1000
  const isNamed = view.request?.value.candidate !== undefined
  if (backoffMs === 0 || isNamed || facts.role === 'primary') return undefined
  // WAL that arrives in a standby cluster is the other cluster's, and says nothing of our leader.
  if (config.standbyCluster !== undefined) return undefined
  const position = walPosition(facts)
  const { putOff: last } = memory
  const loopWaitMs = config.loopWaitSeconds * 1000
  if (last !== undefined && nowMs - last.atMs < loopWaitMs) {
    return { ...say('race-put-off', 'primary_race_backoff: looking again', memory), againInMs: loopWaitMs }
  }
  const isMoving = facts.replicationState === 'streaming' && (last === undefined || position > last.position)
  if (last !== undefined && (!isMoving || leaderlessMs > backoffMs)) return undefined
  const says = 'wal position moved since last heart beat loop: not running for the lead yet'
  const next = { ...memory, putOff: { position, atMs: nowMs } }
  return { ...say('race-put-off', says, next), againInMs: loopWaitMs }
}

/** In the first moments a lost race is run again soon: the old leader may just be stopping, the winner may fail. */
const HURRY_FOR_MS = 5_000
const HURRY_MS = 200
/** After a backoff several members end their receivers in the same moment. */
const RECEIVERS_AGAIN_MS = 1_000

function stayBack(because: string, { server, leaderlessMs }: Snapshot, memory: Memory): Decision {
  if (server.facts?.role !== 'primary') {
    const decision = say('race-stay-back', because, memory)
    return leaderlessMs < HURRY_FOR_MS ? { ...decision, againInMs: HURRY_MS } : decision
  }
  return say(
    'demote-without-lock',
    `demoting self because I may not take the leader key: ${because}`,
    { ...memory, role: 'demoted' },
    { kind: 'demote', demotion: { mode: 'immediate', release: false, heirs: undefined } },
  )
}
