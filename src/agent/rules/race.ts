// Nobody holds the leader key.

import type { Rule } from '../decision.ts'
import { compare, gate, peersToAsk } from '../race.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { say } from './say.ts'

/** Take the key if nobody better answers; a primary that may not take it stops being one. */
export const leaderRace: Rule = (snapshot, memory) => {
  const { view, server, self, peers, acquired } = snapshot
  if (view === undefined || view.leader !== undefined) return undefined
  const { facts } = server
  if (facts === undefined) {
    return say(
      'race-without-facts',
      `no leader, and my server does not answer (${server.trouble ?? 'starting'})`,
      memory,
    )
  }
  if (acquired === 'lost' || acquired === 'unknown') {
    return say(
      'race-lost',
      `(${self.name}) could not take the leader key (${acquired}): reading again`,
      memory,
    )
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
  const healthiest = compare(snapshot, facts, peers ?? [])
  if (!healthiest.mayLead) return stayBack(healthiest.because, snapshot, memory)
  return say('acquire-leader', 'I am the healthiest: taking the leader key', memory, {
    kind: 'acquire-leader',
  })
}

/** In the first moments a lost race is run again soon: the old leader may just be stopping, the winner may fail. */
const HURRY_FOR_MS = 5_000
const HURRY_MS = 200

function stayBack(because: string, { server, leaderlessMs }: Snapshot, memory: Memory): ReturnType<Rule> {
  if (server.facts?.role !== 'primary') {
    const decision = say('race-stay-back', because, memory)
    return leaderlessMs < HURRY_FOR_MS ? { ...decision, againInMs: HURRY_MS } : decision
  }
  return say(
    'demote-without-lock',
    `demoting self because I may not take the leader key: ${because}`,
    { ...memory, role: 'demoted' },
    { kind: 'demote', demotion: { mode: 'immediate', release: false, candidate: undefined } },
  )
}
