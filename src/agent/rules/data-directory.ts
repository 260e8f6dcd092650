// No data, or none that can be read: start a cluster, copy one, or wait.

import { mayLead } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { Rule } from '../decision.ts'
import type { Snapshot } from '../snapshot.ts'
import { leaderUpstream, say } from './say.ts'

/** Storage that cannot be read holds nobody's leadership. */
export const dataDirectoryIsUnreadable: Rule = ({ server, lease }, memory) => {
  if (server.dataDirectory !== 'unreadable' || server.process !== 'stopped') return undefined
  const says = 'the data directory cannot be read'
  if (lease.hold === undefined) return say('data-directory-unreadable', says, memory)
  return say('data-directory-unreadable', `${says}: releasing the leader key`, memory, {
    kind: 'release-leader',
  })
}

/** An empty directory is filled by initdb, by exactly one node of a new cluster, or by a copy of the leader. */
export const dataDirectoryIsEmpty: Rule = (snapshot, memory) => {
  const { server, view, lease, self } = snapshot
  if (server.dataDirectory !== 'empty' || view === undefined) return undefined
  if (lease.hold !== undefined) {
    return say('data-directory-empty', 'released leader key: the data directory is empty', memory, {
      kind: 'release-leader',
    })
  }
  if (view.leader?.name === self.name) {
    return say('data-directory-empty', 'waiting for the leader key of my former data to expire', memory)
  }
  const upstream = leaderUpstream(view)
  if (upstream !== undefined) {
    return say('clone', `trying to bootstrap from leader '${upstream.member}'`, memory, {
      kind: 'clone',
      from: upstream,
    })
  }
  return bootstrapOrWait(snapshot, view, memory)
}

function bootstrapOrWait(
  { self }: Snapshot,
  view: ClusterView,
  memory: Parameters<Rule>[1],
): ReturnType<Rule> {
  if (view.initialize === undefined && self.canBootstrap && mayLead(self)) {
    return say('bootstrap', 'trying to bootstrap a new cluster', memory, { kind: 'bootstrap' })
  }
  return say('wait-for-bootstrap', 'waiting for leader to bootstrap', memory)
}
