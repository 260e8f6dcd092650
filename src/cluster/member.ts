// One member of the cluster as its own key describes it. Contract: docs/contracts/dcs.md, "members/<name>".

import { asBigint, asInteger, asText, isObject, type Json, type JsonObject, parseJsonObject } from './json.ts'
import type { Lsn, Timeline } from './lsn.ts'

/** States of a member's server, in the texts that other tools read. */
export const memberStates = [
  'initializing new cluster',
  'initdb failed',
  'running custom bootstrap script',
  'custom bootstrap failed',
  'creating replica',
  'running',
  'starting',
  'starting after custom bootstrap',
  'start failed',
  'restarting',
  'restart failed',
  'stopping',
  'stopped',
  'stop failed',
  'crashed',
] as const
/** The index in `memberStates` is the number that /metrics shows. */
export type MemberState = (typeof memberStates)[number]

export type MemberRole = 'primary' | 'standby_leader' | 'replica' | 'demoted' | 'uninitialized' | 'promoted'

/** Tags keep the types that the YAML file gave them. */
export type Tags = Readonly<Record<string, Json>>

export interface Member {
  readonly name: string
  readonly leaseId: bigint
  readonly connUrl: string | undefined
  readonly apiUrl: string | undefined
  readonly state: string
  readonly role: string
  readonly version: string | undefined
  readonly timeline: Timeline | undefined
  /** Write position of a primary, max(received, replayed) of a standby. */
  readonly walPosition: Lsn | undefined
  readonly receiveLsn: Lsn | undefined
  readonly replayLsn: Lsn | undefined
  readonly replicationState: string | undefined
  readonly tags: Tags
  /** False while a promoted leader has not finished its first checkpoint. */
  readonly checkpointAfterPromote: boolean | undefined
  readonly pendingRestart: boolean
  readonly pause: boolean
  /** Present exactly on members that run this program. */
  readonly pgherd: JsonObject | undefined
  /** The whole parsed value, for views that show more. */
  readonly raw: JsonObject
}

/** Reads a member's key; tolerant of the old form (a bare connection URL) and of any malformed field. */
export function parseMember(name: string, value: string, leaseId: bigint): Member {
  const raw = parseJsonObject(value) ?? legacyFields(value)
  const role = asText(raw['role']) ?? 'uninitialized'
  return {
    name,
    leaseId,
    connUrl: asText(raw['conn_url']),
    apiUrl: asText(raw['api_url']),
    state: asText(raw['state']) ?? 'unknown',
    role: role === 'master' ? 'primary' : role,
    version: asText(raw['version']),
    timeline: asInteger(raw['timeline']),
    walPosition: asBigint(raw['xlog_location']),
    receiveLsn: asBigint(raw['receive_lsn']),
    replayLsn: asBigint(raw['replay_lsn']),
    replicationState: asText(raw['replication_state']),
    tags: isObject(raw['tags']) ? raw['tags'] : {},
    checkpointAfterPromote:
      typeof raw['checkpoint_after_promote'] === 'boolean' ? raw['checkpoint_after_promote'] : undefined,
    pendingRestart: raw['pending_restart'] === true,
    pause: raw['pause'] === true,
    pgherd: isObject(raw['pgherd']) ? raw['pgherd'] : undefined,
    raw,
  }
}

function legacyFields(value: string): JsonObject {
  if (!/^postgres(ql)?:\/\//.test(value)) return {}
  const [connUrl = value, query = ''] = value.split('?', 2)
  const apiUrl = new URLSearchParams(query).get('application_name')
  return apiUrl === null ? { conn_url: connUrl } : { conn_url: connUrl, api_url: apiUrl }
}

/** Where a server answers. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Host and port of a `postgres://` or `http://` URL, brackets of IPv6 removed; undefined when it is none that one can dial. */
export function hostPortOf(url: string | undefined, defaultPort = 5432): HostPort | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { hostname, port: written } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const port = written === '' ? defaultPort : Number(written)
  return host === '' || port === 0 ? undefined : { host, port }
}

/**
 * Whether a tag is set to something true; `priorityTag` <= 0 means the same as the boolean. Any text but the empty one is
 * true, even `no` in quotes: the other members read it so, and all must agree on who may lead.
 */
export function isTagged(tags: Tags, name: string, priorityTag?: string): boolean {
  const value = tags[name]
  if (value !== undefined && value !== null) return isTruthy(value)
  const priority = priorityTag === undefined ? undefined : asInteger(tags[priorityTag])
  return priority !== undefined && priority <= 0
}

function isTruthy(value: Json): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

/** May this member ever be promoted? */
export function mayLead(member: Pick<Member, 'tags'>): boolean {
  return !isTagged(member.tags, 'nofailover', 'failover_priority')
}
