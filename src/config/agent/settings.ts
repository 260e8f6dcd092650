// What the dynamic and the local configuration together want from the PostgreSQL server. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { isTagged } from '../../cluster/member.ts'
import { isStandbyCluster } from '../../cluster/summary.ts'
import { controlledNames, controlledValues } from './controlled.ts'
import { replicaMethods } from './methods.ts'
import { readServerScripts } from './server-scripts.ts'
import { clusterToolOptions } from './tool-options.ts'
import type {
  DynamicConfig,
  LocalConfig,
  LocalPostgres,
  RoleSettings,
  ServerSettings,
  StandbySource,
  ToolOption,
} from './types.ts'
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

/** From here on PostgreSQL itself copies the slots that ask for it, where it is told to. */
const SYNCS_SLOTS_SINCE = 17

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
  const sides: Sides = {
    dynamic: objectAt(dynamic.raw, 'postgresql'),
    local: local.postgres.raw,
    majorVersion,
    standby: dynamic.standbyCluster,
    forced: carriesLogicalSlots(local, dynamic) ? { hot_standby_feedback: 'on' } : {},
  }
  const decided = controlledValues(objectAt(sides.dynamic, 'parameters'), majorVersion)
  const warnings = decided.warnings.map(({ name, says }) => `postgresql.parameters.${name}: ${says}`)
  const isTrue = (key: string): boolean => readBoolean(eitherOf(sides, key)) === true
  const roleSettings = (role?: Role) => settingsOf(sides, decided.walKeep, role, warnings)
  const primary = hasOwn(sides, 'primary') ? { primary: roleSettings('primary') } : {}
  const replica = hasOwn(sides, 'replica') ? { replica: roleSettings('replica') } : {}
  const isApart =
    hasOwn(sides, 'standby_leader') || dynamic.standbyCluster?.recoveryMinApplyDelay !== undefined
  const standbyLeader = isApart ? { standbyLeader: roleSettings('standby_leader') } : {}
  const byRole = { ...primary, ...replica, ...standbyLeader }
  const readKey = (key: string) => eitherOf(sides, key)
  const remoteNames = dynamic.standbyCluster?.replicaMethods
  return {
    controlled: {
      listen_addresses: local.postgres.listenAddresses,
      port: String(local.postgres.port),
      cluster_name: local.scope,
      ...decided.commandLine,
    },
    ...roleSettings(),
    ...(Object.keys(byRole).length > 0 ? { byRole } : {}),
    replicaMethods: replicaMethods(readKey),
    ...(remoteNames === undefined ? {} : { remoteMethods: replicaMethods(readKey, remoteNames) }),
    ...toolSettings(local.postgres, sides, warnings),
    usePgRewind: isTrue('use_pg_rewind'),
    useSlots: dynamic.useSlots,
    removeDataDirectoryOnRewindFailure: isTrue('remove_data_directory_on_rewind_failure'),
    removeDataDirectoryOnDivergedTimelines: isTrue('remove_data_directory_on_diverged_timelines'),
    scripts: readServerScripts(sides, warnings),
    warnings: [...new Set(warnings)],
  }
}

type ToolSettings = Pick<ServerSettings, 'basebackup' | 'rewindOptions' | 'krbsrvname'>

/** The file's options of a tool replace the cluster's as a whole. */
function toolSettings(
  { raw, basebackup, rewindOptions = [] }: LocalPostgres,
  sides: Sides,
  warnings: string[],
): ToolSettings {
  const chosen = (key: string, own: readonly ToolOption[]) =>
    (raw[key] ?? null) === null ? clusterToolOptions(sides.dynamic, key, warnings) : own
  const service = eitherOf(sides, 'krbsrvname')
  return {
    basebackup: chosen('basebackup', basebackup),
    rewindOptions: chosen('rewind', rewindOptions),
    ...(typeof service === 'string' && service !== '' ? { krbsrvname: service } : {}),
  }
}

type Role = 'primary' | 'replica' | 'standby_leader'

/** The two sides' `postgresql` sections. */
interface Sides {
  readonly dynamic: JsonObject
  readonly local: JsonObject
  readonly majorVersion: number
  readonly standby: StandbySource | undefined
  /** Above everybody's wishes. */
  readonly forced: Readonly<Record<string, string>>
}

/** A standby's copies of logical slots are worth something only if the primary keeps the rows that they need. */
function carriesLogicalSlots(
  { tags }: LocalConfig,
  { useSlots, permanentSlots, raw }: DynamicConfig,
): boolean {
  if (!useSlots || isTagged(tags, 'nostream') || isStandbyCluster(raw)) return false
  return [...permanentSlots.values()].some(slot => slot.kind === 'logical' && slot.clusterType !== 'standby')
}

const OF_A_ROLE = ['parameters', 'pg_hba', 'pg_ident']

function hasOwn({ dynamic, local }: Sides, role: Role): boolean {
  return OF_A_ROLE.some(key => [local, dynamic].some(side => (side[`${key}_${role}`] ?? null) !== null))
}

/** The file wins over the cluster. */
function eitherOf({ local, dynamic }: Sides, key: string): Json | undefined {
  return local[key] ?? dynamic[key] ?? undefined
}

/** What a role's own parameters say wins over the general ones; its own lists replace them. */
function settingsOf(
  sides: Sides,
  walKeep: Readonly<Record<string, string>>,
  role: Role | undefined,
  warnings: string[],
): RoleSettings {
  const { dynamic, local, forced } = sides
  const keys = role === undefined ? ['parameters'] : ['parameters', `parameters_${role}`]
  const merged = mergeParameters(
    keys.flatMap(key => [dynamic, local].map(side => [key, objectAt(side, key)] as const)),
    warnings,
  )
  const conf = { ...objectAt(dynamic, 'recovery_conf'), ...objectAt(local, 'recovery_conf') }
  const recovery = { ...recoveryParameters(merged, conf), ...standbyRecovery(sides, role) }
  const feedback = merged.get('hot_standby_feedback')?.value
  if (
    forced['hot_standby_feedback'] !== undefined &&
    feedback !== undefined &&
    readBoolean(feedback) !== true
  )
    warnings.push('postgresql.parameters.hot_standby_feedback: on, because logical slots are carried over')
  const listOf = (key: string) =>
    lines((role === undefined ? undefined : eitherOf(sides, `${key}_${role}`)) ?? eitherOf(sides, key))
  return {
    parameters: {
      ...defaultParameters(merged, recovery, sides),
      ...plainParameters(merged, forced),
      ...walKeep,
      ...forced,
    },
    recovery,
    pgHba: merged.has('hba_file') ? undefined : listOf('pg_hba'),
    pgIdent: merged.has('ident_file') ? undefined : listOf('pg_ident'),
  }
}

/** What we set where nobody has chosen: names compare without case, so a choice in any case counts. */
function defaultParameters(
  merged: Parameters,
  recovery: Readonly<Record<string, string>>,
  { majorVersion, forced }: Sides,
): Readonly<Record<string, string>> {
  // A restore_command runs at each attempt too and may cost money: its owner chooses the pause.
  const isPauseChosen = merged.has('wal_retrieve_retry_interval') || recovery['restore_command'] !== undefined
  const isLookChosen =
    merged.has('client_connection_check_interval') || majorVersion < LOOKS_AFTER_CLIENT_SINCE
  const isSyncChosen =
    merged.has('sync_replication_slots') ||
    majorVersion < SYNCS_SLOTS_SINCE ||
    forced['hot_standby_feedback'] === undefined
  return {
    ...(isPauseChosen ? {} : STREAM_AGAIN),
    ...(isLookChosen ? {} : LOOK_AFTER_CLIENT),
    ...(isSyncChosen ? {} : { sync_replication_slots: 'on' }),
  }
}

/** A standby cluster reads the other one's archive; its leader alone may stay behind on purpose. */
function standbyRecovery({ standby }: Sides, role: Role | undefined): Readonly<Record<string, string>> {
  const wishes = {
    restore_command: standby?.restoreCommand,
    archive_cleanup_command: standby?.archiveCleanupCommand,
    recovery_min_apply_delay: role === 'standby_leader' ? standby?.recoveryMinApplyDelay : undefined,
  }
  return Object.fromEntries(
    Object.entries(wishes).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}

type Parameters = ReadonlyMap<string, { readonly name: string; readonly value: string }>

/** Names compare without case, as PostgreSQL does; the key is the name in lower case. */
function mergeParameters(
  sources: readonly (readonly [string, JsonObject])[],
  warnings: string[],
): Parameters {
  const merged = new Map<string, { readonly name: string; readonly value: string }>()
  const entries = sources.flatMap(([path, values]) =>
    Object.entries(values).map(([name, value]) => ({ path: `postgresql.${path}`, name, value })),
  )
  for (const { path, name, value } of entries) {
    const key = name.toLowerCase()
    if (controlledNames.has(key)) {
      if (path !== 'postgresql.parameters')
        warnings.push(`${path}.${name}: cannot differ between roles: left out`)
      continue
    }
    const text = parameterText(value)
    if (!NAME.test(name)) warnings.push(`${path}: ${JSON.stringify(name)} is no parameter's name`)
    else if (text === undefined) warnings.push(`${path}.${name}: expected text, a number or a boolean`)
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

function plainParameters(
  merged: Parameters,
  forced: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const entries = [...merged].filter(
    ([key]) => !RECOVERY.has(key) && !REFUSED_RECOVERY.test(key) && forced[key] === undefined,
  )
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

/** What counts for a standby that leads a standby cluster: its own settings in place of a replica's. */
export function asStandbyLeader(settings: ServerSettings): ServerSettings {
  const { byRole } = settings
  if (byRole?.standbyLeader === undefined) return settings
  return { ...settings, byRole: { ...byRole, replica: byRole.standbyLeader } }
}
