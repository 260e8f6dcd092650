// The cluster as people look at it: one row for each member, as `GET /cluster` and `ctl list` show it.

import { asText, isObject, type Json, type JsonObject } from './json.ts'
import type { Lsn, Timeline } from './lsn.ts'
import { hostPortOf, type Member } from './member.ts'
import { isInSync } from './sync.ts'
import type { ClusterView } from './view.ts'

export type SummaryRole = 'leader' | 'standby_leader' | 'sync_standby' | 'quorum_standby' | 'replica'

/** A position and how far it is behind the leader's; both undefined when the member does not tell. */
export interface Distance {
  readonly lsn: Lsn | undefined
  readonly lagBytes: bigint | undefined
}

export interface MemberSummary {
  readonly member: Member
  readonly name: string
  readonly role: SummaryRole
  /** The replication state of a standby if it has one, else the server's state. */
  readonly state: string
  readonly host: string | undefined
  readonly port: number | undefined
  readonly timeline: Timeline | undefined
  readonly received: Distance
  readonly replayed: Distance
  /** The one position that every version of the member key has. */
  readonly position: Distance
}

export interface ScheduledSwitchover {
  readonly at: string
  readonly from: string | undefined
  readonly to: string | undefined
}

/** One row for each member, sorted by name. */
export function summarize(view: ClusterView): readonly MemberSummary[] {
  const names = [...view.members.keys()].sort()
  return names.flatMap(name => {
    const member = view.members.get(name)
    return member === undefined ? [] : [summarizeMember(view, member)]
  })
}

function summarizeMember(view: ClusterView, member: Member): MemberSummary {
  const role = roleOf(view, member.name)
  const isLeader = role === 'leader' || role === 'standby_leader'
  const address = hostPortOf(member.connUrl)
  const behind = (lsn: Lsn | undefined): Distance => distance(lsn, view.status.optime)
  return {
    member,
    name: member.name,
    role,
    state: (isLeader ? undefined : member.replicationState) ?? member.state,
    host: address?.host,
    port: address?.port,
    timeline: member.timeline,
    received: behind(member.receiveLsn),
    replayed: behind(member.replayLsn),
    position: behind(member.walPosition),
  }
}

function roleOf(view: ClusterView, name: string): SummaryRole {
  const config = view.config?.value ?? {}
  if (view.leader?.name === name) return isStandbyCluster(config) ? 'standby_leader' : 'leader'
  const sync = view.sync?.value
  if (sync === undefined || !isInSync({ ...sync, leader: undefined }, name)) return 'replica'
  return isQuorumMode(config) ? 'quorum_standby' : 'sync_standby'
}

function distance(lsn: Lsn | undefined, optime: Lsn | undefined): Distance {
  if (lsn === undefined) return { lsn: undefined, lagBytes: undefined }
  const lagBytes = (optime ?? 0n) - lsn
  return { lsn, lagBytes: lagBytes > 0n ? lagBytes : 0n }
}

/** Does this dynamic configuration make the cluster follow another one? */
export function isStandbyCluster(config: JsonObject): boolean {
  const section = config['standby_cluster']
  return isObject(section) && ['host', 'port', 'restore_command'].some(key => isSet(section[key]))
}

/** Are synchronous standbys chosen by quorum? */
export function isQuorumMode(config: JsonObject): boolean {
  return asText(config['synchronous_mode'])?.toLowerCase() === 'quorum'
}

function isSet(value: Json | undefined): boolean {
  return value !== undefined && value !== null && value !== ''
}

/** The switchover that waits for its time, if there is one. */
export function scheduledSwitchover(view: ClusterView): ScheduledSwitchover | undefined {
  const request = view.request?.value
  if (request?.scheduledAt === undefined) return undefined
  return { at: request.scheduledAt, from: request.leader, to: request.candidate }
}
