import assert from 'node:assert/strict'
import test from 'node:test'
import type { Json, JsonObject } from '../../../../src/cluster/json.ts'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'
import { localConfig } from '../../../../src/config/agent/local.ts'
import { serverSettings } from '../../../../src/config/agent/settings.ts'
import type { ServerSettings } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

function settings(dynamic: JsonObject, local = '', majorVersion = 15): ServerSettings {
  return settingsOf({ postgresql: dynamic }, local, majorVersion)
}

function settingsOf(raw: JsonObject, local = '', majorVersion = 15): ServerSettings {
  const text = `scope: main
name: pg1
etcd3: {host: e1}
restapi: {listen: 10.0.0.1:8008}
postgresql:
  listen: 10.0.0.1,127.0.0.1:6432
  connect_address: 10.0.0.1:6432
  data_dir: /data
  authentication: {replication: {username: repl}}
${local}`
  const config = localConfig({ file: 'p.yml', ...parseYamlMapping(text, 'p.yml') }, 'postgres')
  return serverSettings(config, dynamicConfig(raw, true), majorVersion)
}

const look = { client_connection_check_interval: '2s' }
const retry = { wal_retrieve_retry_interval: '500ms', ...look }

test('with nothing said, the controlled parameters have their defaults', () => {
  const { controlled, parameters, warnings } = settings({})
  assert.deepEqual(controlled, {
    listen_addresses: '10.0.0.1,127.0.0.1',
    port: '6432',
    cluster_name: 'main',
    wal_level: 'replica',
    hot_standby: 'on',
    max_connections: '100',
    max_wal_senders: '10',
    max_prepared_transactions: '0',
    max_locks_per_transaction: '64',
    track_commit_timestamp: 'off',
    max_replication_slots: '10',
    max_worker_processes: '8',
    wal_log_hints: 'on',
  })
  assert.deepEqual(parameters, { ...retry, wal_keep_size: '128MB' })
  assert.deepEqual(warnings, [])
})

test('a standby asks for its stream twice a second, unless somebody chose a pause or archives are fetched', () => {
  assert.equal(settings({}).parameters['wal_retrieve_retry_interval'], '500ms')
  const chosen = settings({ parameters: { WAL_retrieve_retry_interval: '3s' } }).parameters
  assert.deepEqual(chosen, { WAL_retrieve_retry_interval: '3s', wal_keep_size: '128MB', ...look })
  const fetched = settings({ parameters: { restore_command: 'cp a' } }).parameters
  assert.deepEqual(fetched, { wal_keep_size: '128MB', ...look })
})

test('a busy backend looks after its client every 2 s, unless somebody chose an interval or the server is too old', () => {
  const name = 'client_connection_check_interval'
  assert.equal(settings({}).parameters[name], '2s')
  assert.equal(settings({}, '', 14).parameters[name], '2s')
  assert.equal(settings({}, '', 13).parameters[name], undefined)
  const chosen = settings({ parameters: { Client_Connection_Check_Interval: '0' } }).parameters
  assert.deepEqual([chosen['Client_Connection_Check_Interval'], chosen[name]], ['0', undefined])
})

/** Name, value given, value used, whether it warns. */
const controlledRows: readonly (readonly [string, Json, string, boolean])[] = [
  ['wal_level', 'hot_standby', 'replica', false],
  ['wal_level', 'logical', 'logical', false],
  ['wal_level', 'minimal', 'replica', true],
  ['hot_standby', 'on', 'on', false],
  ['hot_standby', 'off', 'on', true],
  ['max_connections', 25, '25', false],
  ['max_connections', '300', '300', false],
  ['max_connections', 24, '100', true],
  ['max_connections', 'many', '100', true],
  ['max_wal_senders', 3, '3', false],
  ['max_wal_senders', 2, '10', true],
  ['max_prepared_transactions', 0, '0', false],
  ['max_prepared_transactions', -1, '0', true],
  ['max_locks_per_transaction', 31, '64', true],
  ['track_commit_timestamp', true, 'on', false],
  ['track_commit_timestamp', 'yes', 'on', false],
  ['max_replication_slots', 3, '10', true],
  ['max_worker_processes', 1, '8', true],
  ['wal_log_hints', 'off', 'off', false],
  ['wal_log_hints', 'maybe', 'on', true],
]
for (const [name, value, want, warns] of controlledRows) {
  test(`${name} = ${JSON.stringify(value)} is used as ${want}${warns ? ' with a warning' : ''}`, () => {
    const { controlled, warnings } = settings({ parameters: { [name]: value } })
    assert.equal(controlled[name], want)
    assert.equal(warnings.length, warns ? 1 : 0)
  })
}

const walKeepRows: readonly (readonly [JsonObject, number, JsonObject])[] = [
  [{ wal_keep_segments: 100 }, 15, { wal_keep_size: '1600MB' }],
  [{ wal_keep_size: '1GB', wal_keep_segments: 100 }, 15, { wal_keep_size: '1024MB' }],
  [{ wal_keep_size: 512 }, 15, { wal_keep_size: '512MB' }],
  [{ wal_keep_size: '1MB' }, 15, { wal_keep_size: '128MB' }],
  [{ wal_keep_segments: 100 }, 12, { wal_keep_segments: '100' }],
  [{ wal_keep_size: '1GB' }, 12, { wal_keep_segments: '64' }],
  [{}, 12, { wal_keep_segments: '8' }],
]
for (const [parameters, version, want] of walKeepRows) {
  test(`${JSON.stringify(parameters)} on PostgreSQL ${version} keeps ${JSON.stringify(want)}`, () => {
    const all = Object.entries(settings({ parameters }, '', version).parameters)
    const kept = Object.fromEntries(all.filter(([name]) => name.startsWith('wal_keep')))
    assert.deepEqual(kept, want)
  })
}

test('local parameters win over dynamic ones, whatever their case, but not over controlled ones', () => {
  const dynamic = {
    parameters: { work_mem: '4MB', shared_buffers: '1GB', max_connections: 50, listen_addresses: 'x' },
  }
  const local =
    '  parameters: {Work_Mem: 8MB, MAX_CONNECTIONS: 500, shared_buffers: null, archive_mode: on}\n'
  const { controlled, parameters } = settings(dynamic, local)
  assert.deepEqual(parameters, { ...retry, Work_Mem: '8MB', archive_mode: 'on', wal_keep_size: '128MB' })
  assert.equal(controlled['max_connections'], '50')
  assert.equal(controlled['listen_addresses'], '10.0.0.1,127.0.0.1')
})

test('recovery settings leave parameters, and never say where to stream from or where to stop', () => {
  const dynamic = {
    parameters: {
      restore_command: 'cp a',
      recovery_target_time: 'x',
      primary_conninfo: 'host=x',
      work_mem: '4MB',
    },
    recovery_conf: {
      restore_command: 'cp b',
      recovery_target: 'immediate',
      trigger_file: '/t',
      standby_mode: 'on',
    },
  }
  const { parameters, recovery } = settings(dynamic)
  assert.deepEqual(parameters, { work_mem: '4MB', wal_keep_size: '128MB', ...look })
  assert.deepEqual(recovery, { restore_command: 'cp b' })
})

test('a name that could smuggle a line into postgresql.conf is refused', () => {
  const { parameters, warnings } = settings({ parameters: { 'a\nb': 'x', 'my.ext': 'y', list: ['z'] } })
  assert.deepEqual(parameters, {
    'my.ext': 'y',
    wal_keep_size: '128MB',
    ...retry,
  })
  assert.equal(warnings.length, 2)
})

test('pg_hba and pg_ident come from the local side first, and not at all with a file of their own', () => {
  assert.equal(settings({}).pgHba, undefined)
  assert.deepEqual(settings({ pg_hba: ['a'] }).pgHba, ['a'])
  assert.deepEqual(settings({ pg_hba: ['a'] }, '  pg_hba: [b]\n').pgHba, ['b'])
  assert.equal(settings({ pg_hba: ['a'], parameters: { hba_file: '/x' } }).pgHba, undefined)
  assert.equal(settings({ pg_ident: ['a'], parameters: { ident_file: '/x' } }).pgIdent, undefined)
})

test('switches follow the local side, except use_slots, which is the cluster alone', () => {
  const on = settings({ use_pg_rewind: true, use_slots: false }, '  use_slots: true\n')
  assert.deepEqual([on.usePgRewind, on.useSlots], [true, false])
  assert.equal(settings({ use_pg_rewind: true }, '  use_pg_rewind: no\n').usePgRewind, false)
  assert.equal(
    settings({}, '  remove_data_directory_on_rewind_failure: yes\n').removeDataDirectoryOnRewindFailure,
    true,
  )
})

test("a role's own parameters win over the general ones, its own lists replace them; without any there is nothing by role", () => {
  assert.equal(settings({}).byRole, undefined)
  const dynamic = {
    parameters: { work_mem: '4MB', jit: 'off' },
    parameters_replica: { work_mem: '5MB', recovery_min_apply_delay: '1min', max_connections: 50 },
    pg_hba: ['general'],
  }
  const local =
    '  parameters: {Work_Mem: 6MB}\n  parameters_replica: {WORK_MEM: 7MB}\n  pg_hba_primary: [mine]\n'
  const { parameters, byRole, warnings } = settings(dynamic, local)
  assert.equal(parameters['Work_Mem'], '6MB')
  assert.deepEqual(byRole?.replica?.parameters, {
    ...retry,
    WORK_MEM: '7MB',
    jit: 'off',
    wal_keep_size: '128MB',
  })
  assert.deepEqual(byRole?.replica?.recovery, { recovery_min_apply_delay: '1min' })
  assert.deepEqual(byRole?.replica?.pgHba, ['general'])
  assert.deepEqual([byRole?.primary?.pgHba, byRole?.primary?.parameters['Work_Mem']], [['mine'], '6MB'])
  assert.deepEqual(warnings, [
    'postgresql.parameters_replica.max_connections: cannot differ between roles: left out',
  ])
})

const CDC = { type: 'logical', database: 'app', plugin: 'pgoutput' }
const feedbackRows = [
  // the cluster's key, tags, hot_standby_feedback and sync_replication_slots on 12 to 18
  ['without logical slots', {}, {}, 'no no no no no no no'],
  ['with one', { slots: { cdc: CDC } }, {}, 'on on on on on on+on on+on'],
  ['with a physical one', { slots: { backup: { type: 'physical' } } }, {}, 'no no no no no no no'],
  [
    'without slots at all',
    { slots: { cdc: CDC }, postgresql: { use_slots: false } },
    {},
    'no no no no no no no',
  ],
  ['on a member that does not stream', { slots: { cdc: CDC } }, { nostream: true }, 'no no no no no no no'],
  [
    'for standby clusters alone',
    { slots: { cdc: { ...CDC, cluster_type: 'standby' } } },
    {},
    'no no no no no no no',
  ],
  [
    'where somebody wants to do without the copies of 17',
    { slots: { cdc: CDC }, postgresql: { parameters: { sync_replication_slots: false } } },
    {},
    'on+off on+off on+off on+off on+off on+off on+off',
  ],
] as const
for (const [what, raw, tags, want] of feedbackRows) {
  test(`a standby tells its primary which rows its copies of logical slots need: ${what}`, () => {
    const got = [12, 13, 14, 15, 16, 17, 18].map(major => {
      const text = `tags: ${JSON.stringify(tags)}\n`
      const { parameters } = settingsOf(raw, text, major)
      const sync = parameters['sync_replication_slots']
      return [parameters['hot_standby_feedback'] ?? 'no', ...(sync === undefined ? [] : [sync])].join('+')
    })
    assert.equal(got.join(' '), want)
  })
}

test('hot_standby_feedback cannot be switched off under logical slots, in no spelling, and that is told', () => {
  const raw = { slots: { cdc: CDC }, postgresql: { parameters: { Hot_Standby_Feedback: false } } }
  const { parameters, warnings } = settingsOf(raw)
  const named = Object.entries(parameters).filter(([name]) => /^hot_standby_feedback$/i.test(name))
  assert.deepEqual(named, [['hot_standby_feedback', 'on']])
  assert.match(warnings.join(), /hot_standby_feedback: on, because logical slots are carried over/)
})
