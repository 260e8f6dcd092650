// Patroni's metric names for dashboards and alerts that exist, computed from the last known state. Our own metrics
// (pgherd_*) come from the process's registry and are appended by the server.

import { COMPATIBILITY_VERSION } from '../cluster/compatibility.ts'
import { asInteger } from '../cluster/json.ts'
import { isTagged, type MemberState, memberStates } from '../cluster/member.ts'
import { readBoolean } from '../config/agent/units.ts'
import type { AgentStatus } from './agent-port.ts'
import { isQuorumStandby, isSyncStandby } from './sync-role.ts'

interface Sample {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly value: number | bigint | string | undefined
}

/** The text exposition, labels scope and name. A value that is not known is left out. */
export function patroniMetrics(status: AgentStatus): string {
  const labels = `scope="${escapeLabel(status.scope)}",name="${escapeLabel(status.name)}"`
  const samples = [...serverSamples(status), ...positionSamples(status), ...clusterSamples(status)]
  return samples
    .filter(sample => sample.value !== undefined)
    .map(
      ({ name, type, help, value }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}{${labels}} ${value}\n`,
    )
    .join('')
}

function gauge(name: string, help: string, value: Sample['value'] | boolean): Sample {
  return { name, type: 'gauge', help, value: typeof value === 'boolean' ? Number(value) : value }
}

function counter(name: string, help: string, value: Sample['value']): Sample {
  return { name, type: 'counter', help, value }
}

function serverSamples(status: AgentStatus): readonly Sample[] {
  const { facts, role } = status
  const state = memberStates.indexOf(status.state as MemberState)
  return [
    gauge('patroni_version', 'Compatibility level, two digits for each part.', versionDigits()),
    gauge('patroni_postgres_running', 'Whether the server runs and answers.', facts !== undefined),
    gauge(
      'patroni_postmaster_start_time',
      'When the server was started, epoch seconds; 0 if it does not run.',
      startSeconds(facts?.postmasterStartTime) ?? 0,
    ),
    gauge('patroni_primary', 'Whether this server is out of recovery.', role === 'primary'),
    gauge(
      'patroni_standby_leader',
      'Whether this member leads a standby cluster.',
      role === 'standby_leader',
    ),
    gauge('patroni_replica', 'Whether this member is a replica.', role === 'replica'),
    gauge('patroni_sync_standby', 'Whether commits wait for this standby.', isSyncStandby(status)),
    gauge('patroni_quorum_standby', 'Whether this standby is a voter.', isQuorumStandby(status)),
    gauge('patroni_postgres_server_version', 'Version of the server.', facts?.serverVersion ?? 0),
    gauge('patroni_postgres_state', 'Number of the state.', state < 0 ? undefined : state),
    gauge('patroni_postgres_timeline', 'Timeline of the server, 0 if it does not run.', facts?.timeline ?? 0),
    gauge('patroni_pending_restart', 'Whether a restart is pending.', status.isRestartPending),
  ]
}

function positionSamples({ facts, role }: AgentStatus): readonly Sample[] {
  const isStandby = role !== 'primary'
  const streaming = facts?.replicationState === 'streaming'
  const archive = facts?.replicationState === 'in archive recovery'
  const replayedAt = startSeconds(facts?.replayedTimestamp)
  return [
    counter('patroni_xlog_location', 'Written position of a primary, bytes.', facts?.writeLsn ?? 0n),
    counter(
      'patroni_xlog_received_location',
      'Received position of a standby, bytes.',
      isStandby ? (facts?.receivedLsn ?? facts?.replayedLsn ?? 0n) : 0n,
    ),
    counter(
      'patroni_xlog_replayed_location',
      'Replayed position of a standby, bytes.',
      isStandby ? (facts?.replayedLsn ?? 0n) : 0n,
    ),
    gauge('patroni_xlog_replayed_timestamp', 'Commit time of the last replayed commit.', replayedAt ?? 0),
    gauge('patroni_xlog_paused', 'Whether replay is paused.', facts?.isReplayPaused ?? false),
    gauge('patroni_postgres_streaming', 'Whether this standby streams.', streaming),
    gauge('patroni_postgres_in_archive_recovery', 'Whether it restores from an archive.', archive),
  ]
}

function clusterSamples(status: AgentStatus): readonly Sample[] {
  const { view, config, tags } = status
  const isFailsafe = readBoolean(config.raw['failsafe_mode']) === true
  const isMember = Object.keys(view?.failsafe ?? {}).includes(status.name)
  const mayLead = !isTagged(tags, 'nofailover', 'failover_priority')
  const priority = mayLead ? (asInteger(tags['failover_priority']) ?? 1) : 0
  const seenSeconds = Math.floor((status.dcsLastSeenWallMs ?? 0) / 1000)
  return [
    gauge('patroni_cluster_unlocked', 'Whether nobody holds the leader key.', view?.leader === undefined),
    gauge(
      'patroni_failsafe_mode_is_active',
      'Whether failsafe mode keeps this member going.',
      status.isFailsafeActive,
    ),
    gauge('patroni_failsafe_mode_enabled', 'Whether failsafe mode is configured.', isFailsafe),
    gauge('patroni_failsafe_member', 'Whether this member is in the failsafe key.', isMember),
    gauge('patroni_dcs_last_seen', 'When etcd last answered, epoch seconds.', seenSeconds),
    gauge('patroni_is_paused', 'Whether automatic failover is off.', status.isPaused),
    gauge('patroni_failover_priority', 'Failover priority, 0 for never.', priority),
  ]
}

function versionDigits(): string {
  return COMPATIBILITY_VERSION.split('.')
    .map(part => part.padStart(2, '0'))
    .join('')
}

/** Epoch seconds of `2026-11-24 04:05:06.123456+00:00`; undefined when there is no such time. */
function startSeconds(timestamp: string | undefined): number | undefined {
  const ms = timestamp === undefined ? Number.NaN : Date.parse(timestamp.replace(' ', 'T'))
  return Number.isNaN(ms) ? undefined : ms / 1000
}

function escapeLabel(value: string): string {
  return value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')
}
