// What the dynamic and the local configuration together want from the PostgreSQL server. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { controlledNames, controlledValues } from './controlled.ts'
import type { DynamicConfig, LocalConfig, ServerSettings } from './types.ts'
import { readBoolean } from './units.ts'

/** Settings that say how a standby recovers. The agent alone decides where to stream from and up to where. */
const RECOVERY = new Set([
  ...['restore_command', 'archive_cleanup_command', 'recovery_end_command', 'recovery_min_apply_delay'],
])
const REFUSED_RECOVERY =
  /^(recovery_target(_.*)?|primary_.*|standby_mode|pause_at_recovery_target|(promote_)?trigger_file)$/

/**
 * A standby whose leader restarted tries to stream again after this pause. PostgreSQL's own 5 s would be the outage of a
 * cluster with synchronous commits, whose leader is back long before.
 */
const STREAM_AGAIN = { wal_retrieve_retry_interval: '500ms' }

/**
 * A backend that is busy in a statement looks this often whether its client is still there. A session that was cut leaves
 * no statement of its own running on an old leader, which nobody may be able to stop. From PostgreSQL 14 on.
 */
const LOOK_AFTER_CLIENT = { client_connection_check_interval: '2s' }
const LOOKS_AFTER_CLIENT_SINCE = 14

const NAME = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$/

/**
 * Merges local settings over dynamic ones; the controlled ones come from the dynamic side alone. `majorVersion` is the
 * server's (15, 16, ...).
 */
export function serverSettings(
  local: LocalConfig,
  dynamic: DynamicConfig,
  majorVersion = 15,
): ServerSettings {
  const dynamicPostgres = objectAt(dynamic.raw, 'postgresql')
  const localPostgres = local.postgres.raw
  const dynamicParameters = objectAt(dynamicPostgres, 'parameters')
  const decided = controlledValues(dynamicParameters, majorVersion)
  const warnings = decided.warnings.map(({ name, says }) => `postgresql.parameters.${name}: ${says}`)
  const merged = mergeParameters(dynamicParameters, objectAt(localPostgres, 'parameters'), warnings)
  const either = (key: string): Json | undefined => localPostgres[key] ?? dynamicPostgres[key] ?? undefined
  const isTrue = (key: string): boolean => readBoolean(either(key)) === true
  const recovery = {
    ...objectAt(dynamicPostgres, 'recovery_conf'),
    ...objectAt(localPostgres, 'recovery_conf'),
  }
  const recoverySettings = recoveryParameters(merged, recovery)
  return {
    controlled: {
      listen_addresses: local.postgres.listenAddresses,
      port: String(local.postgres.port),
      cluster_name: local.scope,
      ...decided.commandLine,
    },
    parameters: {
      ...defaultParameters(merged, recoverySettings, majorVersion),
      ...plainParameters(merged),
      ...decided.walKeep,
    },
    recovery: recoverySettings,
    pgHba: merged.has('hba_file') ? undefined : lines(either('pg_hba')),
    pgIdent: merged.has('ident_file') ? undefined : lines(either('pg_ident')),
    usePgRewind: isTrue('use_pg_rewind'),
    useSlots: dynamic.useSlots,
    removeDataDirectoryOnRewindFailure: isTrue('remove_data_directory_on_rewind_failure'),
    removeDataDirectoryOnDivergedTimelines: isTrue('remove_data_directory_on_diverged_timelines'),
    warnings,
  }
}

/** What we set where nobody has chosen: names compare without case, so a choice in any case counts. */
function defaultParameters(
  merged: Parameters,
  recovery: Readonly<Record<string, string>>,
  majorVersion: number,
): Readonly<Record<string, string>> {
  // A restore_command runs at each attempt too and may cost money: its owner chooses the pause.
  const isPauseChosen = merged.has('wal_retrieve_retry_interval') || recovery['restore_command'] !== undefined
  const isLookChosen =
    merged.has('client_connection_check_interval') || majorVersion < LOOKS_AFTER_CLIENT_SINCE
  return { ...(isPauseChosen ? {} : STREAM_AGAIN), ...(isLookChosen ? {} : LOOK_AFTER_CLIENT) }
}

type Parameters = ReadonlyMap<string, { readonly name: string; readonly value: string }>

/** Names compare without case, as PostgreSQL does; the key is the name in lower case. */
function mergeParameters(dynamic: JsonObject, local: JsonObject, warnings: string[]): Parameters {
  const merged = new Map<string, { readonly name: string; readonly value: string }>()
  for (const [name, value] of [...Object.entries(dynamic), ...Object.entries(local)]) {
    const key = name.toLowerCase()
    if (controlledNames.has(key)) continue
    const text = parameterText(value)
    if (!NAME.test(name))
      warnings.push(`postgresql.parameters: ${JSON.stringify(name)} is no parameter's name`)
    else if (text === undefined)
      warnings.push(`postgresql.parameters.${name}: expected text, a number or a boolean`)
    else if (text === null) merged.delete(key)
    else merged.set(key, { name, value: text })
  }
  return merged
}

/** The text that PostgreSQL takes; null for an unset value; undefined for a list or mapping. */
function parameterText(value: Json): string | null | undefined {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return typeof value === 'object' ? undefined : String(value)
}

function plainParameters(merged: Parameters): Readonly<Record<string, string>> {
  const entries = [...merged].filter(([key]) => !RECOVERY.has(key) && !REFUSED_RECOVERY.test(key))
  return Object.fromEntries(entries.map(([, { name, value }]) => [name, value]))
}

/** From `parameters` and `recovery_conf`; the latter wins. */
function recoveryParameters(merged: Parameters, recovery: JsonObject): Readonly<Record<string, string>> {
  const chosen: Record<string, string> = {}
  for (const [key, { value }] of merged) {
    if (RECOVERY.has(key)) chosen[key] = value
  }
  for (const [name, value] of Object.entries(recovery)) {
    const text = parameterText(value)
    const key = name.toLowerCase()
    if (typeof text === 'string' && NAME.test(key) && !REFUSED_RECOVERY.test(key)) chosen[key] = text
  }
  return chosen
}

function lines(value: Json | undefined): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter(line => typeof line === 'string') : undefined
}

function objectAt(values: JsonObject, key: string): JsonObject {
  const value = values[key]
  return isObject(value) ? value : {}
}
