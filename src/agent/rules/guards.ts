// What stops every other rule: the fence at work, a task under way, a silent store, the wrong cluster.

import type { Rule } from '../decision.ts'
import type { Snapshot } from '../snapshot.ts'
import { isSystemId, runsAsPrimary, say } from './say.ts'

/** The fence is ending the server: whatever we would decide about it is out of date. */
export const fenceActs: Rule = ({ lease }, memory) => {
  if (!lease.isFencing) return undefined
  return say('fence-acts', 'the lease is running out, the server is being stopped', {
    ...memory,
    role: 'demoted',
  })
}

/** One long action at a time. A promotion whose lock is lost is ended by the fence, not here. */
export const taskRuns: Rule = ({ task, lease, nowMs }, memory) => {
  if (task === undefined) return undefined
  const seconds = Math.floor((nowMs - task.startedAtMs) / 1000)
  const lock = lease.hold === undefined ? '' : 'updated leader lock during '
  return say('task-runs', `${lock}${task.says} in progress${seconds > 0 ? ` (${seconds} s)` : ''}`, memory)
}

/**
 * Without etcd nothing may be taken. A leader keeps serving until its own deadline, which the fence keeps; a primary
 * that holds nothing stops now; a server that is down comes back read-only, for its readers.
 */
export const etcdIsSilent: Rule = ({ view, server, lease, self, failsafe }, memory) => {
  if (view !== undefined) return undefined
  if (server.process === 'stopped' && server.dataDirectory === 'initialized' && memory.isSettled) {
    return say('etcd-is-silent', 'etcd does not answer: starting read-only without upstream', memory, {
      kind: 'start',
      as: 'replica',
      upstream: undefined,
    })
  }
  if (!runsAsPrimary(server)) {
    return say('etcd-is-silent', `etcd does not answer. I am (${self.name}), waiting`, memory)
  }
  if (failsafe.isLeading) {
    const says = 'continue to run as a leader because failsafe mode is enabled and all members are accessible'
    return say('failsafe', says, memory)
  }
  if (lease.leftMs > 0) {
    const seconds = (lease.leftMs / 1000).toFixed(1)
    return say(
      'etcd-is-silent',
      `etcd does not answer: demoting in ${seconds} s unless it comes back`,
      memory,
    )
  }
  return say(
    'etcd-is-silent',
    'demoting self because etcd does not answer and I hold no lease',
    { ...memory, role: 'demoted' },
    { kind: 'demote', demotion: { mode: 'immediate', release: false, heirs: undefined } },
  )
}

/**
 * Two clusters in one scope by mistake: touch nothing, say which is which, end. A server that leads on the strength of
 * our key is stopped first: nobody would watch over it.
 */
export const anotherCluster: Rule = (snapshot, memory) => {
  if (!isAnotherCluster(snapshot)) return undefined
  const { view, systemId, self, lease, server } = snapshot
  const registered = view?.initialize?.value
  const says =
    `system ID mismatch, node ${self.name} belongs to a different cluster: ${registered} != ${systemId}; ` +
    `give this cluster another scope, or move its data directory away to join as a replica`
  if (lease.hold === undefined) return say('another-cluster', says, memory, { kind: 'exit', code: 1 })
  if (server.process !== 'stopped') {
    return say(
      'another-cluster',
      says,
      { ...memory, role: 'demoted' },
      { kind: 'demote', demotion: { mode: 'immediate', release: true, heirs: undefined } },
    )
  }
  return say('another-cluster', says, memory, { kind: 'release-leader' }, { kind: 'exit', code: 1 })
}

/** Both identities are known, and they differ. */
export function isAnotherCluster({ view, systemId }: Snapshot): boolean {
  const registered = view?.initialize?.value ?? ''
  return systemId !== undefined && isSystemId(registered) && registered !== systemId
}
