// What of a node's file may change while the agent runs. Pure.

import type { Json, JsonObject } from '../cluster/json.ts'
import type { LocalConfig, LocalPostgres } from '../config/agent/types.ts'

export interface Reloaded {
  readonly local: LocalConfig
  /** Changed settings that count only after a restart of the agent, by key path. */
  readonly later: readonly string[]
}

/** What a running server and our keys in etcd stand on. */
const FIXED_POSTGRES: Readonly<Record<string, keyof LocalPostgres>> = {
  'postgresql.listen': 'listenAddresses',
  'postgresql.listen (port)': 'port',
  'postgresql.data_dir': 'dataDir',
  'postgresql.bin_dir': 'binDir',
  'postgresql.pgpass': 'pgpass',
}
const FIXED_RAW = ['config_dir', 'config_base_name', 'custom_conf', 'bin_name', 'use_unix_socket']

/** `fresh` with everything kept from `current` that must not change under a running server. */
export function takeReloaded(current: LocalConfig, fresh: LocalConfig): Reloaded {
  const later: string[] = []
  const keep = <T>(path: string, before: T, after: T): T => {
    if (JSON.stringify(before) !== JSON.stringify(after)) later.push(path)
    return before
  }
  const postgres = keepPostgres(current.postgres, fresh.postgres, keep)
  const local: LocalConfig = {
    ...fresh,
    postgres,
    name: keep('name', current.name, fresh.name),
    scope: keep('scope', current.scope, fresh.scope),
    namespace: keep('namespace', current.namespace, fresh.namespace),
    etcd: keep('etcd3', current.etcd, fresh.etcd),
    vips: current.vips,
  }
  keep('pgherd.vip', ownVips(current), ownVips(fresh))
  return { local, later }
}

/** Without those of a keepalived.conf beside the file. */
function ownVips({ vips }: LocalConfig): LocalConfig['vips'] {
  return vips.filter(({ driver }) => driver !== 'vrrp')
}

function keepPostgres(
  current: LocalPostgres,
  fresh: LocalPostgres,
  keep: <T>(path: string, before: T, after: T) => T,
): LocalPostgres {
  const fixed = Object.entries(FIXED_POSTGRES).map(([path, key]) => [
    key,
    keep(path, current[key], fresh[key]),
  ])
  const raw: Record<string, Json> = { ...fresh.raw }
  for (const key of ['listen', 'data_dir', 'bin_dir', 'pgpass']) keepQuietly(raw, current.raw, key)
  for (const key of FIXED_RAW) {
    keep(`postgresql.${key}`, current.raw[key] ?? null, raw[key] ?? null)
    keepQuietly(raw, current.raw, key)
  }
  return { ...fresh, ...Object.fromEntries(fixed), raw }
}

function keepQuietly(raw: Record<string, Json>, current: JsonObject, key: string): void {
  const kept = current[key]
  if (kept === undefined) delete raw[key]
  else raw[key] = kept
}
