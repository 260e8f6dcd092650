// The document that every GET of a health check returns, and that other members read in a race. Pure.

import { COMPATIBILITY_VERSION } from '../cluster/compatibility.ts'
import type { Json, JsonObject } from '../cluster/json.ts'
import { writtenTags } from '../cluster/tags.ts'
import type { Sender, ServerFacts } from '../postgres/port.ts'
import type { AgentStatus } from './agent-port.ts'
import { isQuorumStandby, isSyncStandby } from './sync-role.ts'

const LOG_LINES_USUAL = 20

/** Everything this member says of itself. Field order and names are the contract of docs/contracts/rest.md. */
export function statusDocument(status: AgentStatus): JsonObject {
  const { facts, view } = status
  const tags = writtenTags(status.tags)
  const document: Record<string, Json> = { state: status.state }
  if (facts !== undefined) document['postmaster_start_time'] = facts.postmasterStartTime
  document['role'] = status.role
  if (facts !== undefined) addFacts(document, facts)
  if (isSyncStandby(status)) document['sync_standby'] = true
  if (isQuorumStandby(status)) document['quorum_standby'] = true
  if (status.isPaused) document['pause'] = true
  if (view?.leader === undefined) document['cluster_unlocked'] = true
  if (status.isFailsafeActive) document['failsafe_mode_is_active'] = true
  if (status.isWatchdogFailed === true) document['watchdog_failed'] = true
  document['dcs_last_seen'] = Math.floor((status.dcsLastSeenWallMs ?? 0) / 1000)
  if (Object.keys(tags).length > 0) document['tags'] = tags
  const systemId = facts?.systemId ?? view?.initialize?.value
  if (systemId !== undefined && systemId !== '') document['database_system_identifier'] = systemId
  if (status.isRestartPending) document['pending_restart'] = true
  if (Object.keys(status.pendingReasons).length > 0)
    document['pending_restart_reason'] = status.pendingReasons
  if (status.scheduledRestart !== undefined) document['scheduled_restart'] = status.scheduledRestart
  addLogHealth(document, status.logHealth)
  document['patroni'] = { version: COMPATIBILITY_VERSION, scope: status.scope, name: status.name }
  document['pgherd'] = { ...status.pgherd, lease_left_ms: Math.max(0, Math.floor(status.leaseLeftMs)) }
  return document
}

/** Told when the log is in trouble: more lines wait than a disk that answers lets pile up, or some are gone. */
function addLogHealth(document: Record<string, Json>, health: AgentStatus['logHealth']): void {
  if (health === undefined || (health.queued <= LOG_LINES_USUAL && health.lost === 0)) return
  document['logger_queue_size'] = health.queued
  if (health.lost > 0) document['logger_records_lost'] = health.lost
}

function addFacts(document: Record<string, Json>, facts: ServerFacts): void {
  document['server_version'] = facts.serverVersion
  document['xlog'] = positions(facts)
  document['timeline'] = facts.timeline
  if (facts.replicationState !== undefined) document['replication_state'] = facts.replicationState
  if (facts.senders.length > 0) document['replication'] = facts.senders.map(senderRow)
}

function positions(facts: ServerFacts): JsonObject {
  if (facts.role === 'primary') return { location: facts.writeLsn ?? 0n }
  return {
    received_location: facts.receivedLsn ?? facts.replayedLsn ?? 0n,
    replayed_location: facts.replayedLsn ?? 0n,
    replayed_timestamp: facts.replayedTimestamp ?? null,
    paused: facts.isReplayPaused,
  }
}

function senderRow(sender: Sender): JsonObject {
  return {
    usename: sender.username,
    application_name: sender.applicationName,
    client_addr: sender.clientAddress ?? null,
    state: sender.state,
    sync_state: sender.syncState,
    sync_priority: sender.syncPriority,
  }
}
