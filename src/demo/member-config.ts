// Writes a member's patroni.yml: the shape of a deployed one, with addresses, directories and short timings of the local
// cluster. Our agents and the real Patroni read the same file.

import { stringify } from 'yaml'

/** Any YAML mapping. */
export type Settings = Readonly<Record<string, unknown>>

/** Names and passwords of the roles that every member knows. */
export const ROLES = {
  superuser: { username: 'postgres', password: 'demo-super' },
  replication: { username: 'repl', password: 'demo-repl' },
  rewind: { username: 'rewind', password: 'demo-rewind' },
} as const

/** What differs between members and clusters. */
export interface MemberConfig {
  readonly scope: string
  readonly name: string
  readonly address: string
  readonly postgresPort: number
  readonly restPort: number
  readonly dataDir: string
  readonly binDir: string
  /** The host's own directory for sockets and the password file. */
  readonly runDir: string
  readonly serverLog: { readonly directory: string; readonly file: string }
  readonly etcd: readonly string[]
  /** Merged over the defaults of `bootstrap.dcs`, key by key. */
  readonly dcs?: Settings
  /** Merged over the defaults of the server's parameters. */
  readonly parameters?: Settings
  /** Merged over the whole file at last, key by key; lists replace lists. */
  readonly overrides?: Settings
}

/** The member's file as text. */
export function memberYaml(config: MemberConfig): string {
  return stringify(merge(base(config), config.overrides ?? {}))
}

/** `over` laid over `under`, mapping by mapping; anything else replaces. `null` stays and means "remove" to its reader. */
export function merge(under: Settings, over: Settings): Settings {
  const merged: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key]
    merged[key] = isMapping(below) && isMapping(value) ? merge(below, value) : value
  }
  return merged
}

function base(config: MemberConfig): Settings {
  const { address, restPort, postgresPort } = config
  return {
    scope: config.scope,
    namespace: '/service/',
    name: config.name,
    restapi: { listen: `${address}:${restPort}`, connect_address: `${address}:${restPort}` },
    etcd3: { hosts: [...config.etcd] },
    bootstrap: {
      dcs: merge(dynamicSettings(config), config.dcs ?? {}),
      initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums'],
      pg_hba: hostBasedAuthentication(),
    },
    postgresql: {
      listen: `${address}:${postgresPort}`,
      connect_address: `${address}:${postgresPort}`,
      data_dir: config.dataDir,
      bin_dir: config.binDir,
      pgpass: `${config.runDir}/pgpass`,
      authentication: ROLES,
      parameters: localParameters(config),
      basebackup: { checkpoint: 'fast' },
    },
    tags: { nofailover: false, noloadbalance: false, clonefrom: false, nosync: false },
  }
}

/** The leader's lease and the turns, in seconds, unless `dcs` says otherwise: short, because faults are waited for. */
export const TIMES = { ttl: 5, loop_wait: 1, retry_timeout: 1 } as const

function dynamicSettings(config: MemberConfig): Settings {
  return {
    ...TIMES,
    maximum_lag_on_failover: 1_048_576,
    pgherd: { short_ttl: true },
    postgresql: {
      use_pg_rewind: true,
      use_slots: true,
      parameters: merge(
        {
          wal_level: 'replica',
          hot_standby: 'on',
          wal_log_hints: 'on',
          max_connections: 200,
          max_wal_senders: 10,
          max_replication_slots: 10,
          wal_keep_size: '128MB',
          // Small enough that a dozen clusters fit on a tmpfs.
          min_wal_size: '32MB',
          max_wal_size: '256MB',
          shared_buffers: '32MB',
        },
        config.parameters ?? {},
      ),
    },
  }
}

/** Parameters that belong to one machine: sockets and the log. */
function localParameters(config: MemberConfig): Settings {
  return {
    unix_socket_directories: config.runDir,
    logging_collector: 'on',
    log_directory: config.serverLog.directory,
    log_filename: config.serverLog.file,
    log_file_mode: '0644',
    log_rotation_age: 0,
    log_rotation_size: 0,
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
  }
}

function hostBasedAuthentication(): readonly string[] {
  return [
    'local all all scram-sha-256',
    'host replication repl 0.0.0.0/0 scram-sha-256',
    'host all all 0.0.0.0/0 scram-sha-256',
  ]
}

function isMapping(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
