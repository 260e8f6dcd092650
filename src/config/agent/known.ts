// The names that a patroni.yml may hold. Used to warn about typing errors; a name here that this version does not act
// on yet is in `inert`, with a warning of its own.

const set = (...names: string[]): ReadonlySet<string> => new Set(names)

export const topKeys = set(
  ...[
    'name',
    'scope',
    'namespace',
    'thread_pool_size',
    'thread_stack_size',
    'log',
    'etcd',
    'etcd3',
    'bootstrap',
  ],
  ...['postgresql', 'restapi', 'ctl', 'watchdog', 'tags', 'citus', 'ttl', 'loop_wait', 'retry_timeout'],
  ...['standby_cluster', 'pgherd'],
)

/** Below `pgherd`, in one node's file. */
export const ownKeys = set(
  ...['vip', 'callback_role', 'callback_timeout', 'pre_promote_timeout', 'before_stop_timeout'],
)

export const logKeys = set(
  ...['type', 'level', 'traceback_level', 'format', 'dateformat', 'static_fields', 'max_queue_size', 'dir'],
  ...['mode', 'file_num', 'file_size', 'loggers', 'deduplicate_heartbeat_logs'],
)

export const etcdKeys = set(
  ...['host', 'hosts', 'url', 'proxy', 'srv', 'srv_suffix', 'discovery_srv', 'srv_domain', 'use_proxies'],
  ...['protocol', 'username', 'password', 'cacert', 'cert', 'key', 'transport'],
)

export const restKeys = set(
  ...['listen', 'connect_address', 'authentication', 'certfile', 'keyfile', 'keyfile_password', 'cafile'],
  ...['ciphers', 'verify_client', 'allowlist', 'allowlist_include_members', 'http_extra_headers'],
  ...['https_extra_headers', 'server_tokens', 'thread_pool_size', 'request_queue_size'],
  'read_only_authentication',
)

export const ctlKeys = set(
  ...['authentication', 'insecure', 'cacert', 'certfile', 'keyfile', 'keyfile_password'],
)

export const bootstrapKeys = set(
  ...['dcs', 'method', 'initdb', 'pg_hba', 'post_bootstrap', 'post_init', 'users'],
)

export const dcsKeys = set(
  ...['ttl', 'loop_wait', 'retry_timeout', 'maximum_lag_on_failover', 'maximum_lag_on_syncnode'],
  ...['check_timeline', 'max_timelines_history', 'primary_start_timeout', 'master_start_timeout'],
  ...['primary_stop_timeout', 'master_stop_timeout', 'primary_race_backoff', 'synchronous_mode'],
  ...['synchronous_mode_strict', 'synchronous_node_count', 'failsafe_mode', 'pause', 'member_slots_ttl'],
  ...['slots', 'permanent_slots', 'permanent_replication_slots', 'ignore_slots', 'standby_cluster'],
  ...['postgresql', 'pgherd'],
)

export const postgresKeys = set(
  ...['listen', 'connect_address', 'proxy_address', 'data_dir', 'config_dir', 'bin_dir', 'bin_name'],
  ...['database', 'config_base_name', 'custom_conf', 'pgpass', 'use_unix_socket', 'use_unix_socket_repl'],
  ...['krbsrvname', 'pg_ctl_timeout', 'parameters', 'parameters_primary', 'parameters_replica'],
  ...['parameters_standby_leader', 'pg_hba', 'pg_hba_primary', 'pg_hba_replica', 'pg_hba_standby_leader'],
  ...['pg_ident', 'pg_ident_primary', 'pg_ident_replica', 'pg_ident_standby_leader', 'recovery_conf'],
  ...['callbacks', 'create_replica_methods', 'create_replica_method', 'basebackup', 'rewind'],
  ...['use_pg_rewind', 'use_slots', 'remove_data_directory_on_rewind_failure', 'before_stop', 'pre_promote'],
  ...['remove_data_directory_on_diverged_timelines', 'authentication', 'superuser', 'replication'],
  ...['pg_rewind'],
)

/** Of `postgresql`: what differs between members, or cannot change under a running server. */
export const fileOnlyKeys = set(
  ...[
    'listen',
    'connect_address',
    'proxy_address',
    'data_dir',
    'config_dir',
    'bin_dir',
    'bin_name',
    'database',
  ],
  ...[
    'config_base_name',
    'custom_conf',
    'pgpass',
    'use_unix_socket',
    'use_unix_socket_repl',
    'authentication',
  ],
)

/** libpq's words for how long a peer may be silent; Patroni leaves them to libpq. */
export const patienceKeys = set(
  ...['connect_timeout', 'keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count'],
  'tcp_user_timeout',
)

export const credentialKeys = set(
  ...['username', 'password', 'sslmode', 'sslkey', 'sslpassword', 'sslcert', 'sslrootcert', 'sslcrl'],
  ...['sslcrldir', 'sslnegotiation', 'gssencmode', 'channel_binding'],
  ...patienceKeys,
)

export const watchdogKeys = set('mode', 'device', 'safety_margin', 'driver')

export const callbackKeys = set('on_start', 'on_stop', 'on_restart', 'on_reload', 'on_role_change')

/** Stores that we do not speak to. */
export const otherStores = ['consul', 'zookeeper', 'exhibitor', 'kubernetes', 'raft'] as const

/** Accepted, but without effect in this version: path of the section -> keys. */
export const inert: Readonly<Record<string, ReadonlySet<string>>> = {
  '': set('citus', 'thread_pool_size', 'thread_stack_size'),
  restapi: set('thread_pool_size', 'request_queue_size'),
  log: set('traceback_level'),
  postgresql: set('proxy_address', 'use_unix_socket_repl', 'pg_ctl_timeout'),
}
