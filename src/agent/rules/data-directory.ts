// No data, or none that can be read: start a cluster, copy one, or wait.

import { claimInForce } from '../../cluster/claim.ts'
import { hostPortOf, isTagged, mayLead } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { Upstream } from '../../postgres/port.ts'
import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { leaderUpstream, say } from './say.ts'
import { remoteUpstream } from './source.ts'

/** Storage that cannot be read holds nobody's leadership. */
export const dataDirectoryIsUnreadable: Rule = ({ server, lease }, memory) => {
  if (server.dataDirectory !== 'unreadable' || server.process !== 'stopped') return undefined
  // The trouble names the directory, what may be the matter and the cure.
  const says = server.trouble ?? 'the data directory cannot be read'
  if (lease.hold === undefined) return say('data-directory-unreadable', says, memory)
  const demoted: Memory = { ...memory, role: 'demoted' }
  return say('data-directory-unreadable', `${says}: releasing the leader key`, demoted, {
    kind: 'release-leader',
  })
}

/**
 * Storage that does not answer may be empty: nobody knows what would be started on it, or over it. A leader whose server has
 * crashed tries to bring it up all the same, which its deadline bounds.
 */
export const dataDirectoryIsSilent: Rule = ({ server, lease, view }, memory) => {
  if (server.dataDirectory !== 'unknown' || server.process !== 'stopped') return undefined
  if ((lease.hold !== undefined && lease.leftMs > 0) || view === undefined) return undefined
  return waitForStorage(server, memory)
}

/** Nothing is done with a data directory that does not answer. */
export function waitForStorage({ trouble }: Snapshot['server'], memory: Memory): Decision {
  const why = trouble ?? 'the data directory does not answer'
  return say('data-directory-silent', `waiting: ${why}`, memory)
}

/** An empty directory is filled by initdb, by exactly one node of a new cluster, or by a copy of the leader. */
export const dataDirectoryIsEmpty: Rule = (snapshot, memory) => {
  const { server, view, lease, self } = snapshot
  if (server.dataDirectory !== 'empty' || view === undefined) return undefined
  if (lease.hold !== undefined) {
    const demoted: Memory = { ...memory, role: 'demoted' }
    return say('data-directory-empty', 'released leader key: the data directory is empty', demoted, {
      kind: 'release-leader',
    })
  }
  if (view.leader?.name === self.name) {
    return say('data-directory-empty', 'waiting for the leader key of my former data to expire', memory)
  }
  if (snapshot.nowMs < memory.nextStartAtMs) {
    return say(
      'wait-to-start',
      `copying the leader failed (${memory.failedStarts} tries): waiting to try again`,
      memory,
    )
  }
  const leader = leaderUpstream(view)
  if (leader !== undefined) {
    const from = spareSource(view, self.name, memory) ?? leader
    const what = from === leader ? 'leader' : 'replica'
    return say('clone', `trying to bootstrap from ${what} '${from.member}'`, memory, { kind: 'clone', from })
  }
  return bootstrapOrWait(snapshot, view, memory)
}

function bootstrapOrWait(snapshot: Snapshot, view: ClusterView, memory: Memory): ReturnType<Rule> {
  const { self, config } = snapshot
  const remote = remoteUpstream(config)
  const keeper = view.initialize === undefined ? whoHasData(snapshot, view, memory) : undefined
  if (keeper !== undefined) {
    const says = `the initialize key is missing, but (${keeper}) has data of this cluster: waiting for it to write the key again`
    return say('wait-for-initialize', says, memory)
  }
  if (view.initialize === undefined && self.canBootstrap && mayLead(self)) {
    const what = remote === undefined ? 'a new cluster' : `a standby leader from (${remote.member})`
    return say('bootstrap', `trying to bootstrap ${what}`, memory, { kind: 'bootstrap' })
  }
  // Nobody here has data, or leads: the other cluster has it all.
  if (remote !== undefined && (view.initialize?.value ?? '') !== '') {
    const says = `trying to bootstrap from the remote cluster (${remote.member})`
    return say('clone-remote', says, memory, { kind: 'clone', from: remote })
  }
  if (claimInForce(view)?.name === self.name && self.canBootstrap && mayLead(self)) {
    return say('bootstrap', 'trying to bootstrap a new cluster: the scope is claimed in my name', memory, {
      kind: 'bootstrap',
    })
  }
  // An empty `initialize` is a cluster that is being born: nothing of it is in an archive yet.
  if (self.canCloneAlone === true && (view.initialize?.value ?? '') !== '') {
    const says = 'trying to bootstrap without leader'
    return say('clone-alone', says, memory, { kind: 'clone', from: undefined })
  }
  return say('wait-for-bootstrap', `waiting for leader to bootstrap${abandoned(view)}`, memory)
}

const ROLES_WITH_DATA: ReadonlySet<string> = new Set([
  ...['primary', 'master', 'replica', 'standby_leader', 'demoted', 'promoted'],
])

/**
 * Without the key an empty directory looks like a new cluster, and its member would make one beside the data of the others.
 * Their member keys tell what they have; where those are gone too, a leader of a moment ago is given the time to come back.
 */
function whoHasData(
  { self, config, leaderlessMs }: Snapshot,
  { members }: ClusterView,
  { lastLeader }: Memory,
): string | undefined {
  const other = [...members.values()].find(
    ({ name, role, timeline }) => name !== self.name && (timeline !== undefined || ROLES_WITH_DATA.has(role)),
  )
  if (other !== undefined) return other.name
  const isRecent = leaderlessMs < config.ttlSeconds * 1000
  return isRecent && lastLeader !== self.name ? lastLeader : undefined
}

/**
 * A replica that offers itself (`clonefrom`) and streams from the leader spares the leader the work. Members choose by their
 * names, so that not all take the same one; after a failure the leader is next.
 */
function spareSource(view: ClusterView, me: string, { failedStarts }: Memory): Upstream | undefined {
  const timeline = view.leader === undefined ? undefined : view.members.get(view.leader.name)?.timeline
  const offers = [...view.members.values()].filter(
    member =>
      member.name !== me &&
      member.name !== view.leader?.name &&
      isTagged(member.tags, 'clonefrom') &&
      member.state === 'running' &&
      member.replicationState === 'streaming' &&
      member.timeline === timeline,
  )
  if (offers.length === 0 || failedStarts % 2 === 1) return undefined
  const sum = [...me].reduce((total, char) => total + (char.codePointAt(0) ?? 0), 0)
  const chosen = offers.sort((a, b) => a.name.localeCompare(b.name))[sum % offers.length]
  const address = hostPortOf(chosen?.connUrl)
  return chosen === undefined || address === undefined ? undefined : { member: chosen.name, address }
}

/** A member that died while it made the cluster leaves the scope claimed: only a person can know that it will not return. */
function abandoned(view: ClusterView): string {
  const isClaimed = view.initialize?.value === ''
  const isAtWork = [...view.members.values()].some(({ state }) => state === 'initializing new cluster')
  if (!isClaimed || isAtWork) return ''
  return '; nobody is making the cluster: if the member that began is gone, delete the key `initialize` of this scope in etcd'
}
