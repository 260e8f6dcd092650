// Where a standby's WAL comes from: the leader, the member that a tag names, an archive alone, or another cluster.

import { hostPortOf, isTagged, type Member, mayLead } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { DynamicConfig, StandbySource } from '../../config/agent/types.ts'
import type { ServerFacts, Upstream } from '../../postgres/port.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { leaderUpstream } from './say.ts'

/** After this long it is tried again whether a member that sent nothing feeds us now. */
const TRY_NAMED_AGAIN_MS = 60_000
const NAMED = 'replicatefrom'

/** The cluster that this one follows; undefined in a cluster of its own. */
export function remoteUpstream({
  standbyCluster,
}: Pick<DynamicConfig, 'standbyCluster'>): Upstream | undefined {
  if (standbyCluster === undefined) return undefined
  const { hosts, slotName } = standbyCluster
  const address = hosts[0] ?? { host: '', port: 0 }
  return { member: nameOf(standbyCluster), address, remote: { hosts, slotName } }
}

function nameOf({ hosts }: StandbySource): string {
  return hosts.length === 0 ? 'an archive' : hosts.map(({ host, port }) => `${host}:${port}`).join(', ')
}

/**
 * What a comparison of histories holds for: one term of a leader, and in a standby cluster the other cluster during that
 * term. A term that goes on through a promotion of the cluster is compared anew.
 */
export function historyMark(config: Pick<DynamicConfig, 'standbyCluster'>, epoch: bigint): bigint {
  return config.standbyCluster === undefined ? epoch : -epoch
}

/** With whose history ours is compared: the leader's, in a standby cluster the other cluster's. */
export function reference(
  config: Pick<DynamicConfig, 'standbyCluster'>,
  leader: Upstream,
): Upstream | undefined {
  const remote = remoteUpstream(config)
  if (remote === undefined) return leader
  return remote.remote?.hosts.length === 0 ? undefined : remote
}

/** What the choice goes by beside the view. */
type Seen = Pick<
  Snapshot,
  'isFollowingLeader' | 'isFollowingNobody' | 'isFollowingNamed' | 'nowMs' | 'config'
> & { readonly self: Pick<Snapshot['self'], 'name' | 'tags'> }

/** Whom to stream from, if from anybody. */
export interface Source {
  readonly kind: 'leader' | 'named' | 'archive'
  /** Undefined for the archive. */
  readonly upstream: Upstream | undefined
  readonly isFollowing: boolean
  readonly memory: Memory
  /** Look again then, whether WAL arrives. */
  readonly againInMs?: number
}

/**
 * `nostream`: nobody. `replicatefrom`: that member as long as it streams on the leader's timeline, else the leader. A member
 * that has sent nothing for a turn counts as gone, whatever its key says, until its agent has written a key of another lease.
 */
export function sourceOf(
  snapshot: Seen,
  view: ClusterView,
  leader: Upstream,
  facts: ServerFacts | undefined,
  memory: Memory,
): Source {
  const { self, isFollowingLeader, isFollowingNobody, isFollowingNamed = false, nowMs, config } = snapshot
  if (isTagged(self.tags, 'nostream'))
    return { kind: 'archive', upstream: undefined, isFollowing: isFollowingNobody, memory }
  const fromLeader = { kind: 'leader', upstream: leader, isFollowing: isFollowingLeader } as const
  const named = namedMember(view, self.name, self.tags)
  const upstream = named === undefined ? undefined : upstreamOf(named)
  if (named === undefined || upstream === undefined || !canFeed(named, view))
    return { ...fromLeader, memory: forget(memory) }
  const { silentNamed } = memory
  const isGivenUp =
    silentNamed?.givenUpAtMs !== undefined &&
    silentNamed.leaseId === named.leaseId &&
    nowMs - silentNamed.givenUpAtMs < TRY_NAMED_AGAIN_MS
  if (isGivenUp) return { ...fromLeader, memory }
  const fromNamed = { kind: 'named', upstream, isFollowing: isFollowingNamed } as const
  const isSilent = isFollowingNamed && facts !== undefined && facts.replicationState !== 'streaming'
  if (!isSilent) return { ...fromNamed, memory: forget(memory) }
  const patienceMs = config.loopWaitSeconds * 1000
  const sinceMs = silentNamed?.givenUpAtMs === undefined ? (silentNamed?.sinceMs ?? nowMs) : nowMs
  const leftMs = sinceMs + patienceMs - nowMs
  const noted = { leaseId: named.leaseId, sinceMs, givenUpAtMs: leftMs > 0 ? undefined : nowMs }
  const next: Memory = { ...memory, silentNamed: noted }
  return leftMs > 0 ? { ...fromNamed, memory: next, againInMs: leftMs } : { ...fromLeader, memory: next }
}

function forget(memory: Memory): Memory {
  return memory.silentNamed === undefined ? memory : { ...memory, silentNamed: undefined }
}

/** The member that the tag names, unless it is ourselves, the leader, or follows us in turn. */
export function namedMember(view: ClusterView, me: string, tags: Member['tags']): Member | undefined {
  const name = tags[NAMED]
  if (typeof name !== 'string' || name === me || name === view.leader?.name) return undefined
  return leadsBack(view, name, me) ? undefined : view.members.get(name)
}

/** Members whose tags name each other would all wait for the WAL of each other. */
function leadsBack(view: ClusterView, from: string, me: string): boolean {
  const seen = new Set<string>([me])
  for (let name: string | undefined = from; name !== undefined && name !== view.leader?.name; ) {
    if (seen.has(name)) return true
    seen.add(name)
    const next: unknown = view.members.get(name)?.tags[NAMED]
    name = typeof next === 'string' ? next : undefined
  }
  return false
}

/**
 * On another timeline it may have WAL that the leader's history does not have. Members of another make may not tell whether
 * they stream: that they run has to do, and their silence will tell.
 */
function canFeed(member: Member, view: ClusterView): boolean {
  const leader = view.leader === undefined ? undefined : view.members.get(view.leader.name)
  const isUntold = member.pgherd === undefined && member.replicationState === undefined
  const isFed = isUntold || member.replicationState === 'streaming' || isTagged(member.tags, 'nostream')
  return member.state === 'running' && isFed && member.timeline === leader?.timeline
}

/** The address that the member that our tag names has in its key. */
export function namedUpstream(view: ClusterView, me: string, tags: Member['tags']): Upstream | undefined {
  const named = namedMember(view, me, tags)
  return named === undefined ? undefined : upstreamOf(named)
}

function upstreamOf({ name, connUrl }: Member): Upstream | undefined {
  const address = hostPortOf(connUrl)
  return address === undefined ? undefined : { member: name, address }
}

/** Where to stream from while nothing is known of our server but that it starts. */
export function sourceAtStart(snapshot: Snapshot, view: ClusterView, memory: Memory): Source | undefined {
  const { config, self, lease } = snapshot
  if (view.leader?.name === self.name && lease.hold !== undefined) {
    const upstream = remoteUpstream(config)
    if (upstream === undefined) return undefined
    return { kind: 'leader', upstream, isFollowing: snapshot.isFollowingRemote ?? false, memory }
  }
  if (view.leader === undefined) return remoteAtStart(snapshot, memory)
  const leader = view.leader.name === self.name ? undefined : leaderUpstream(view)
  return leader === undefined ? undefined : sourceOf(snapshot, view, leader, undefined, memory)
}

/**
 * After a rewind a server comes up only when it has WAL that the other cluster wrote meanwhile. Where all wait for it nobody can
 * lead, and nobody has it but the other cluster. Only who was compared with that asks it, and only who may lead then: it keeps
 * one slot for us.
 */
function remoteAtStart(
  { config, self, isFollowingRemote = false }: Snapshot,
  memory: Memory,
): Source | undefined {
  const upstream = remoteUpstream(config)
  const isCompared = memory.cleanAgainst !== undefined && memory.cleanAgainst < 0n
  if (upstream?.remote === undefined || upstream.remote.hosts.length === 0) return undefined
  if (!isCompared || !mayLead(self)) return undefined
  return { kind: 'leader', upstream, isFollowing: isFollowingRemote, memory }
}
