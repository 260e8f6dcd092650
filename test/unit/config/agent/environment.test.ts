// Every PATRONI_* variable has its place in the configuration. The list is that of the documentation, not of the code.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Json } from '../../../../src/cluster/json.ts'
import { readEnvironment } from '../../../../src/config/agent/environment.ts'

/** Names, what each is set to, and what is there then; `*` stands for the lower-case end of the name. */
const rows: readonly (readonly [names: string, place: string, content: string, value: Json])[] = [
  ['NAME NAMESPACE SCOPE', '*', 'x', 'x'],
  ['THREAD_POOL_SIZE', '*', '7', 7],
  ['THREAD_STACK_SIZE', '*', '256kB', '256kB'],
  ['LOG_TYPE LOG_LEVEL LOG_TRACEBACK_LEVEL LOG_DATEFORMAT LOG_DIR', 'log.*', 'x', 'x'],
  ['LOG_MODE', 'log.*', '0640', '0640'],
  ['LOG_MAX_QUEUE_SIZE LOG_FILE_NUM LOG_FILE_SIZE', 'log.*', '3', 3],
  ['LOG_STATIC_FIELDS LOG_LOGGERS', 'log.*', 'patroni.ha: ERROR', { 'patroni.ha': 'ERROR' }],
  ['LOG_DEDUPLICATE_HEARTBEAT_LOGS', 'log.*', 'on', true],
  ['LOGLEVEL', 'log.level', 'DEBUG', 'DEBUG'],
  ['LOGFORMAT LOG_FORMAT', 'log.format', '%(message)s', '%(message)s'],
  // Without a name for Python's logging it is the list that type json takes.
  [
    'LOG_FORMAT',
    'log.format',
    '[message, module, {levelname: level}]',
    ['message', 'module', { levelname: 'level' }],
  ],
  ['LOG_FORMAT LOGFORMAT', 'log.format', 'message,module', ['message', 'module']],
  ['LOG_FORMAT', 'log.format', '- message\n- module', ['message', 'module']],
  ['LOG_DATEFMT', 'log.dateformat', '%H', '%H'],
  ['RESTAPI_LISTEN RESTAPI_CONNECT_ADDRESS RESTAPI_CERTFILE RESTAPI_KEYFILE', 'restapi.*', 'x', 'x'],
  ['RESTAPI_KEYFILE_PASSWORD RESTAPI_CAFILE RESTAPI_CIPHERS RESTAPI_VERIFY_CLIENT', 'restapi.*', 'x', 'x'],
  ['RESTAPI_SERVER_TOKENS', 'restapi.*', 'minimal', 'minimal'],
  ['RESTAPI_ALLOWLIST', 'restapi.*', '10.0.0.1,10.0.0.0/8', ['10.0.0.1', '10.0.0.0/8']],
  ['RESTAPI_ALLOWLIST_INCLUDE_MEMBERS', 'restapi.*', 'yes', true],
  ['RESTAPI_HTTP_EXTRA_HEADERS RESTAPI_HTTPS_EXTRA_HEADERS', 'restapi.*', '{"X-A": b}', { 'X-A': 'b' }],
  ['RESTAPI_THREAD_POOL_SIZE RESTAPI_REQUEST_QUEUE_SIZE', 'restapi.*', '9', 9],
  ['RESTAPI_USERNAME RESTAPI_PASSWORD', 'restapi.authentication.*', 'x', 'x'],
  ['CTL_CACERT CTL_CERTFILE CTL_KEYFILE CTL_KEYFILE_PASSWORD', 'ctl.*', 'x', 'x'],
  ['CTL_INSECURE', 'ctl.*', 'off', false],
  ['CTL_USERNAME CTL_PASSWORD', 'ctl.authentication.*', 'x', 'x'],
  ['POSTGRESQL_LISTEN POSTGRESQL_CONNECT_ADDRESS POSTGRESQL_PROXY_ADDRESS', 'postgresql.*', 'x', 'x'],
  ['POSTGRESQL_DATA_DIR POSTGRESQL_CONFIG_DIR', 'postgresql.*', '/x', '/x'],
  ['POSTGRESQL_BIN_DIR POSTGRESQL_PGPASS', 'postgresql.*', '/x', '/x'],
  ['POSTGRESQL_BIN_PG_CTL POSTGRESQL_BIN_INITDB POSTGRESQL_BIN_POSTGRES', 'postgresql.bin_name.*', 'x', 'x'],
  ['POSTGRESQL_BIN_PG_CONTROLDATA POSTGRESQL_BIN_PG_BASEBACKUP', 'postgresql.bin_name.*', 'x', 'x'],
  ['POSTGRESQL_BIN_PG_ISREADY POSTGRESQL_BIN_PG_REWIND', 'postgresql.bin_name.*', 'x', 'x'],
  ...['SUPERUSER', 'REPLICATION', 'REWIND'].map(account => {
    const words = 'USERNAME PASSWORD SSLMODE SSLKEY SSLPASSWORD SSLCERT SSLROOTCERT SSLCRL SSLCRLDIR'
    const names = `${words} SSLNEGOTIATION GSSENCMODE CHANNEL_BINDING`.split(' ')
    const place = `postgresql.authentication.${account.toLowerCase()}.*`
    return [names.map(name => `${account}_${name}`).join(' '), place, '007', '007'] as const
  }),
  ...['ETCD', 'ETCD3'].flatMap(store => {
    const words = 'HOST URL PROXY SRV SRV_SUFFIX PROTOCOL USERNAME PASSWORD CACERT CERT KEY'.split(' ')
    const place = `${store.toLowerCase()}.*`
    return [
      [words.map(word => `${store}_${word}`).join(' '), place, 'x', 'x'],
      [`${store}_HOSTS`, place, "'e1:2379',e2:2379", ['e1:2379', 'e2:2379']],
      [`${store}_USE_PROXIES`, place, '1', true],
    ] as const
  }),
  ['CITUS_DATABASE', 'citus.*', 'x', 'x'],
  ['CITUS_GROUP', 'citus.*', '0', 0],
  ['CONSUL_HOST CONSUL_TOKEN', 'consul.*', 'x', 'x'],
  ['ZOOKEEPER_HOSTS', 'zookeeper.*', 'x', 'x'],
  ['EXHIBITOR_HOSTS', 'exhibitor.*', 'x', 'x'],
  ['KUBERNETES_NAMESPACE KUBERNETES_LABELS', 'kubernetes.*', 'x', 'x'],
  ['RAFT_SELF_ADDR', 'raft.*', 'x', 'x'],
]

/** A configuration with nothing but this value. */
function nested([key, ...rest]: readonly string[], value: Json): Json {
  return key === undefined ? value : { [key]: nested(rest, value) }
}

for (const [names, place, content, value] of rows) {
  for (const name of names.split(' ')) {
    const path = place.endsWith('*') ? place.replace('*', keyOf(name, place)) : place
    test(`PATRONI_${name} is ${path}`, () => {
      const read = readEnvironment({ [`PATRONI_${name}`]: content })
      assert.deepEqual(read.value, nested(path.split('.'), value))
    })
  }
}

/** The end of the name that is not the section's. */
function keyOf(name: string, place: string): string {
  const prefixes: Readonly<Record<string, string>> = {
    'restapi.authentication.*': 'RESTAPI_',
    'ctl.authentication.*': 'CTL_',
    'postgresql.bin_name.*': 'POSTGRESQL_BIN_',
  }
  const account = /^postgresql\.authentication\.(\w+)\.\*$/.exec(place)?.[1]
  const section = place.slice(0, -2).toUpperCase()
  const prefix = prefixes[place] ?? (place === '*' ? '' : `${account?.toUpperCase() ?? section}_`)
  assert.ok(name.startsWith(prefix), `${name} begins with ${prefix}`)
  return name.slice(prefix.length).toLowerCase()
}
