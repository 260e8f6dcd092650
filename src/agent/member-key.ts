// Our own member key: what others read of us. Contract: docs/contracts/dcs.md, "members/<name>".

import { COMPATIBILITY_VERSION } from '../cluster/compatibility.ts'
import { type Json, type JsonObject, printJson } from '../cluster/json.ts'
import type { HostPort, Tags } from '../cluster/member.ts'
import { writtenTags } from '../cluster/tags.ts'
import type { CloneProgress } from '../postgres/clone-progress.ts'
import type { ServerFacts } from '../postgres/port.ts'
import { walPosition } from './race.ts'

/** How the last promotion went, for the line that the proxies print. Milliseconds. */
export interface FailoverPhases {
  /** From the moment the key was seen gone to the moment it was ours. */
  readonly lockMs: number
  readonly promoteMs: number
}

export interface MemberKeyParts {
  readonly address: HostPort
  readonly database: string
  readonly apiUrl: string
  readonly state: string
  readonly role: string
  readonly facts: ServerFacts | undefined
  readonly tags: Tags
  readonly isPaused: boolean
  readonly isRestartPending: boolean
  /** By setting: old_value and new_value. */
  readonly pendingReasons: JsonObject
  readonly scheduledRestart: JsonObject | undefined
  /** False from a promotion until its checkpoint is done. */
  readonly checkpointAfterPromote: boolean
  readonly version: string
  readonly phases: FailoverPhases | undefined
  /** The member that our tag `replicatefrom` names sends nothing: we need a slot on the leader. */
  readonly hasGivenUpNamed?: boolean
  /** How far the copy is that is being made here. */
  readonly clone?: CloneProgress | undefined
}

/** Prints the key's value. Field order is stable, so that an unchanged member writes nothing. */
export function printMemberKey(parts: MemberKeyParts): string {
  const tags = writtenTags(parts.tags)
  const fields: Record<string, Json> = {
    conn_url: memberUrl(parts.address, parts.database),
    api_url: parts.apiUrl,
    state: parts.state,
    role: parts.role,
    version: COMPATIBILITY_VERSION,
  }
  if (!parts.checkpointAfterPromote) fields['checkpoint_after_promote'] = false
  if (Object.keys(tags).length > 0) fields['tags'] = tags
  if (parts.isRestartPending) fields['pending_restart'] = true
  if (Object.keys(parts.pendingReasons).length > 0) fields['pending_restart_reason'] = parts.pendingReasons
  if (parts.scheduledRestart !== undefined) fields['scheduled_restart'] = parts.scheduledRestart
  if (parts.facts !== undefined) addPositions(fields, parts.facts)
  if (parts.isPaused) fields['pause'] = true
  fields['pgherd'] = ownFields(parts)
  return printJson(fields)
}

function addPositions(fields: Record<string, Json>, facts: ServerFacts): void {
  fields['xlog_location'] = walPosition(facts)
  if (facts.role === 'replica') {
    if (facts.receivedLsn !== undefined && facts.receivedLsn > 0n) fields['receive_lsn'] = facts.receivedLsn
    if (facts.replayedLsn !== undefined && facts.replayedLsn > 0n) fields['replay_lsn'] = facts.replayedLsn
    if (facts.replicationState !== undefined) fields['replication_state'] = facts.replicationState
  }
  fields['timeline'] = facts.timeline
}

function ownFields({ version, phases, hasGivenUpNamed, clone }: MemberKeyParts): JsonObject {
  const own = {
    version,
    ...(hasGivenUpNamed === true ? { follows_leader: true } : {}),
    ...(clone === undefined ? {} : { clone: cloneFields(clone) }),
  }
  if (phases === undefined) return own
  return {
    ...own,
    phases: { lock_ms: Math.round(phases.lockMs), promote_ms: Math.round(phases.promoteMs) },
  }
}

/** For the member key and for REST: bytes, and a percentage where the whole is known. */
export function cloneFields({ doneBytes, totalBytes }: CloneProgress): JsonObject {
  if (totalBytes === undefined) return { done_bytes: doneBytes }
  const percent = Math.floor((100 * doneBytes) / totalBytes)
  return { done_bytes: doneBytes, total_bytes: totalBytes, percent }
}

/** How a member's server is reached, as its key says it. */
export function memberUrl(address: HostPort, database: string): string {
  return `postgres://${hostText(address)}:${address.port}/${database}`
}

function hostText(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]` : address.host
}
