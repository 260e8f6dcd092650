// The cluster's identity is missing in etcd: a fresh scope, or a store that was wiped.

import type { Rule } from '../decision.ts'
import { isSystemId, say } from './say.ts'

/**
 * Only a node that knows the cluster may name it again: a running primary and who holds the leader key at once, and a standby that has seen the cluster's
 * identity before when no primary has done so for a ttl: a store that was wiped is the primary's to fill. A standby that
 * has just started waits, for the primary may live elsewhere.
 */
export const systemIsUnregistered: Rule = (snapshot, memory) => {
  const { view, server, systemId, leaderlessMs, config, lease } = snapshot
  if (view === undefined || systemId === undefined || server.facts === undefined) return undefined
  if (view.initialize !== undefined) {
    // A bootstrap that died half-way leaves it empty; whoever leads on the strength of data says what the cluster is.
    const isLeading = lease.hold !== undefined && server.facts.role === 'primary'
    if (isSystemId(view.initialize.value) || !isLeading) return undefined
  }
  const isPrimaryGone = memory.isSettled && leaderlessMs >= config.ttlSeconds * 1000
  // In a standby cluster nobody is a primary, and a leader that is to be promoted would wait for itself.
  const isLeader = lease.hold !== undefined
  if (server.facts.role === 'primary' || isLeader || isPrimaryGone) {
    return say('register-system-id', `writing the cluster's system identifier ${systemId}`, memory, {
      kind: 'register-system-id',
      systemId,
    })
  }
  return say('wait-for-primary', 'the initialize key is missing: start the primary first', memory)
}
