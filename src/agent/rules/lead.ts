// The leader key carries our name.

import { clusterTimeline } from '../../cluster/history.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { handleRequest } from './requests.ts'
import { say } from './say.ts'

/** With the key in hand: promote, answer requests, or carry on. With our name but no hold: only a restart may take it up. */
export const holdsLeader: Rule = (snapshot, memory) => {
  const { view, self, server, lease } = snapshot
  if (view?.leader?.name !== self.name) return undefined
  const { facts } = server
  if (lease.hold === undefined) return nameWithoutHold(snapshot, view, facts, memory)
  if (facts === undefined) {
    return say(
      'leader-without-facts',
      `leader, but my server does not answer (${server.trouble ?? ''})`,
      memory,
    )
  }
  if (facts.role === 'replica') {
    return say(
      'promote',
      'promoted self to leader by acquiring session lock',
      { ...memory, role: 'promoted' },
      {
        kind: 'promote',
      },
    )
  }
  const requested = handleRequest(snapshot, view, facts, { ...memory, role: 'primary' })
  if (requested !== undefined) return requested
  const actions = view.config === undefined ? [{ kind: 'write-config' } as const] : []
  return say(
    'no-action-leader',
    `no action. I am (${self.name}), the leader with the lock`,
    { ...memory, role: 'primary', failedStarts: 0 },
    ...actions,
  )
}

function nameWithoutHold(
  { lease, acquired, self }: Snapshot,
  view: ClusterView,
  facts: ServerFacts | undefined,
  memory: Memory,
): Decision {
  const { leader } = view
  const isOnOurLease = leader !== undefined && leader.leaseId === lease.leaseId
  const timeline = clusterTimeline(view.history?.value) ?? 0
  const runsAsPrimary = facts?.role === 'primary' && facts.timeline >= timeline
  const isRestart = !memory.isSettled && runsAsPrimary
  if ((isOnOurLease || isRestart) && acquired === undefined) {
    return say(
      'reattach-leader',
      `the leader key carries my name (${self.name}): taking it up again`,
      memory,
      {
        kind: 'reattach-leader',
      },
    )
  }
  if (facts?.role === 'primary') {
    return say(
      'demote-without-lock',
      'demoting self because the leader key with my name is not my own any more',
      { ...memory, role: 'demoted' },
      { kind: 'demote', demotion: { mode: 'immediate', release: false, candidate: undefined } },
    )
  }
  return say('wait-for-expiry', 'waiting for the leader key of my former life to expire', memory)
}
