// What a running server says about itself, from one statement. The statement touches no file: it answers when the
// storage under the data directory hangs.

import type { Json } from '../cluster/json.ts'
import { type Lsn, parseLsn, type Timeline } from '../cluster/lsn.ts'
import type { Row } from './connection.ts'
import type { Sender, ServerFacts, Slot, SynchronousFacts } from './port.ts'
import type { RecoverySource } from './settings-text.ts'

const WRITTEN_LSN_SINCE = 130000
const CONNINFO_SETTING_SINCE = 120000
/** From here on a logical slot on a standby tells that rows it needs were removed. */
const CONFLICTS_SINCE = 160000
const SYNCED_SLOTS_SINCE = 170000

/** Where a checkpointer waits that has handled every signal: between checkpoints, or between the writes of a spread one. */
const CHECKPOINTER_RESTS = ['CheckpointerMain', 'CheckpointWriteDelay']

/** What does not change while a postmaster lives. */
export interface ServerIdentity {
  readonly systemId: string
  readonly serverVersion: number
  /** The process that writes the shutdown checkpoint: when it is gone, the control file is final (below 18). */
  readonly checkpointerPid: number | undefined
}

/** One look, before the timeline of a standby without receiver is found out. */
export interface Observation {
  readonly facts: Omit<ServerFacts, 'timeline' | 'isRestartPending'>
  /** Undefined on a standby whose receiver is not running. */
  readonly timeline: Timeline | undefined
  readonly source: RecoverySource
  /** Settings read from a file that wait for a restart, with the values in force. */
  readonly pendingSettings: Readonly<Record<string, string>>
  /** When the server read its files last; what waits is looked up once for each time. */
  readonly loadedAt: string
}

export const IDENTITY_SQL = `
SELECT s.system_identifier::text AS system_id, current_setting('server_version_num') AS version,
  (SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer') AS checkpointer
FROM pg_control_system() s`

export function parseIdentity(row: Row | undefined): ServerIdentity | undefined {
  const systemId = row?.['system_id']
  const version = Number(row?.['version'])
  if (systemId === undefined || systemId === null || Number.isNaN(version)) return undefined
  const checkpointer = row?.['checkpointer']
  return {
    systemId,
    serverVersion: version,
    checkpointerPid: checkpointer === null || checkpointer === undefined ? undefined : Number(checkpointer),
  }
}

/** The monitoring statement for a server of this version (150018 style). */
export function observationSql(serverVersion: number): string {
  const written = serverVersion >= WRITTEN_LSN_SINCE ? 'w.written_lsn' : 'w.received_lsn'
  const setting = (name: string) =>
    serverVersion >= CONNINFO_SETTING_SINCE ? `current_setting('${name}', true)` : "''"
  return `
SELECT CASE WHEN pg_is_in_recovery() THEN 'replica' ELSE 'primary' END AS role,
  to_char(pg_postmaster_start_time(), 'YYYY-MM-DD HH24:MI:SS.USTZH:TZM') AS started,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn() END AS write_lsn,
  CASE WHEN pg_is_in_recovery() THEN NULL
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS write_timeline,
  pg_last_wal_receive_lsn() AS receive_lsn, ${written} AS written_lsn,
  pg_last_wal_replay_lsn() AS replay_lsn, pg_last_xact_replay_timestamp() AS replay_time,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS is_paused,
  w.status AS receiver, w.latest_end_lsn AS end_lsn, w.received_tli AS receiver_timeline,
  ${setting('restore_command')} AS restore_command, ${setting('primary_conninfo')} AS conninfo,
  ${setting('primary_slot_name')} AS slot_name,
  (SELECT json_object_agg(name, current_setting(name)) FROM pg_settings
    WHERE pending_restart AND name <> 'hot_standby') AS pending,
  pg_conf_load_time()::text AS loaded_at,
  (SELECT json_agg(json_build_array(usename, application_name, client_addr, state, sync_state, sync_priority,
    flush_lsn, write_lsn, replay_lsn)) FROM pg_stat_replication) AS senders,
  current_setting('synchronous_standby_names') AS sync_names,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END AS flush_lsn,
  (SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'checkpointer') AS checkpointer_waits,
  (SELECT json_agg(json_build_array(slot_name, slot_type, active, temporary, restart_lsn,
    xmin IS NOT NULL OR catalog_xmin IS NOT NULL, ${isLostSql(serverVersion)}, database, plugin,
    confirmed_flush_lsn, catalog_xmin::text,
    ${serverVersion >= SYNCED_SLOTS_SINCE ? 'failover, synced' : 'false, false'})) FROM pg_replication_slots) AS slots
FROM (SELECT) one LEFT JOIN pg_stat_wal_receiver w ON true`
}

/**
 * What the files want of settings that wait for a restart: the last line for each name, else the built-in value. Reads the
 * files, so it is asked only when the set of them changed.
 */
export const WANTED_SETTINGS_SQL = `
SELECT s.name, coalesce((SELECT f.setting FROM pg_file_settings f WHERE lower(f.name) = lower(s.name)
  ORDER BY f.seqno DESC LIMIT 1), s.boot_val) AS wanted
FROM pg_settings s WHERE s.pending_restart AND s.name <> 'hot_standby'`

/** Whether nobody can read on from a slot, as servers of this version say it. */
function isLostSql(serverVersion: number): string {
  if (serverVersion < WRITTEN_LSN_SINCE) return 'false'
  const lost = "wal_status IS NOT DISTINCT FROM 'lost'"
  if (serverVersion >= SYNCED_SLOTS_SINCE) return `${lost} OR invalidation_reason IS NOT NULL`
  return serverVersion >= CONFLICTS_SINCE ? `${lost} OR coalesce(conflicting, false)` : lost
}

/** Reads the row of `observationSql`; undefined when it has another shape. */
export function parseObservation(row: Row | undefined, identity: ServerIdentity): Observation | undefined {
  if (row === undefined || (row['role'] !== 'primary' && row['role'] !== 'replica')) return undefined
  const isPrimary = row['role'] === 'primary'
  const replayedLsn = lsn(row['replay_lsn'])
  const timeline = isPrimary ? row['write_timeline'] : receiverTimeline(row)
  return {
    facts: {
      role: row['role'],
      systemId: identity.systemId,
      serverVersion: identity.serverVersion,
      postmasterStartTime: row['started'] ?? '',
      writeLsn: lsn(row['write_lsn']),
      receivedLsn: isPrimary
        ? undefined
        : (latest(lsn(row['receive_lsn']), lsn(row['written_lsn'])) ?? replayedLsn),
      replayedLsn: isPrimary ? undefined : replayedLsn,
      replayedTimestamp: isPrimary ? undefined : (row['replay_time'] ?? undefined),
      isReplayPaused: row['is_paused'] === 't',
      latestEndLsn: isPrimary ? undefined : lsn(row['end_lsn']),
      replicationState: isPrimary ? undefined : replicationState(row),
      senders: list(row['senders']).map(senderOf),
      synchronous: synchronousFacts(row),
      slots: list(row['slots']).map(slotOf),
    },
    timeline: timeline === null || timeline === undefined ? undefined : Number(timeline),
    source: { primaryConninfo: row['conninfo'] ?? '', primarySlotName: row['slot_name'] ?? '' },
    pendingSettings: textValues(row['pending']),
    loadedAt: row['loaded_at'] ?? '',
  }
}

/** A receiver that has not heard from its upstream yet only repeats what it was told to ask for. */
function receiverTimeline(row: Row): string | null | undefined {
  return row['end_lsn'] === null ? undefined : row['receiver_timeline']
}

function replicationState(row: Row): 'streaming' | 'in archive recovery' | undefined {
  if (row['receiver'] === 'streaming') return 'streaming'
  return (row['restore_command'] ?? '') === '' ? undefined : 'in archive recovery'
}

function synchronousFacts(row: Row): SynchronousFacts | undefined {
  const flushLsn = lsn(row['flush_lsn'])
  if (flushLsn === undefined) return undefined
  return {
    names: row['sync_names'] ?? '',
    flushLsn,
    isCheckpointerAtRest: CHECKPOINTER_RESTS.includes(row['checkpointer_waits'] ?? ''),
  }
}

function senderOf(fields: readonly Json[]): Sender {
  const [
    username,
    applicationName,
    clientAddress,
    state,
    syncState,
    syncPriority,
    flushLsn,
    writeLsn,
    replayLsn,
  ] = fields
  return {
    username: text(username) ?? '',
    applicationName: text(applicationName) ?? '',
    clientAddress: text(clientAddress),
    state: text(state) ?? '',
    syncState: text(syncState) ?? '',
    syncPriority: typeof syncPriority === 'number' ? syncPriority : 0,
    writeLsn: lsn(text(writeLsn)),
    flushLsn: lsn(text(flushLsn)),
    replayLsn: lsn(text(replayLsn)),
  }
}

function slotOf(fields: readonly Json[]): Slot {
  const [name, kind, active, temporary, restartLsn, holdsXmin, isLost, database, plugin, ...more] = fields
  const [confirmedLsn, catalogXmin, isFailover, isSynced] = more
  const confirmed = lsn(text(confirmedLsn))
  const xmin = text(catalogXmin)
  return {
    name: text(name) ?? '',
    isPhysical: kind === 'physical',
    isActive: active === true,
    isTemporary: temporary === true,
    restartLsn: lsn(text(restartLsn)),
    holdsXmin: holdsXmin === true,
    isLost: isLost === true,
    ...(typeof database === 'string' ? { database } : {}),
    ...(typeof plugin === 'string' ? { plugin } : {}),
    ...(confirmed === undefined ? {} : { confirmedLsn: confirmed }),
    ...(xmin === undefined ? {} : { catalogXmin: Number(xmin) }),
    ...(isFailover === true ? { isFailover } : {}),
    ...(isSynced === true ? { isSynced } : {}),
  }
}

/** A row of pg_replication_slots as a server of any version shows it. */
export function slotOfRow(row: Row): Slot {
  const isTrue = (name: string): boolean => row[name] === 't'
  const isLost =
    row['wal_status'] === 'lost' || isTrue('conflicting') || (row['invalidation_reason'] ?? null) !== null
  return slotOf([
    ...[row['slot_name'] ?? null, row['slot_type'] ?? null, isTrue('active'), isTrue('temporary')],
    ...[row['restart_lsn'] ?? null, (row['xmin'] ?? row['catalog_xmin'] ?? null) !== null, isLost],
    ...[row['database'] ?? null, row['plugin'] ?? null, row['confirmed_flush_lsn'] ?? null],
    ...[row['catalog_xmin'] ?? null, isTrue('failover'), isTrue('synced')],
  ])
}

function textValues(value: string | null | undefined): Readonly<Record<string, string>> {
  const parsed: unknown = value === null || value === undefined ? {} : JSON.parse(value)
  return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, string>) : {}
}

function list(value: string | null | undefined): readonly (readonly Json[])[] {
  const parsed: unknown = value === null || value === undefined ? [] : JSON.parse(value)
  return Array.isArray(parsed) ? parsed.filter(Array.isArray) : []
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function lsn(value: string | null | undefined): Lsn | undefined {
  return value === null || value === undefined ? undefined : parseLsn(value)
}

function latest(one: Lsn | undefined, other: Lsn | undefined): Lsn | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return one > other ? one : other
}
