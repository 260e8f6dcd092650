import assert from 'node:assert/strict'
import test from 'node:test'
import type { JsonObject } from '../../../../src/cluster/json.ts'
import { localConfig } from '../../../../src/config/agent/local.ts'
import { replicaMethods } from '../../../../src/config/agent/methods.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

const read = (section: JsonObject) => replicaMethods(key => section[key])
const names = (section: JsonObject) => read(section).map(({ name }) => name)

test('without a word replicas are made by pg_basebackup', () => {
  assert.deepEqual(read({}), [
    {
      name: 'basebackup',
      command: undefined,
      options: [],
      noParams: false,
      keepData: false,
      noLeader: false,
    },
  ])
})

test('methods are a list or names between commas, under the new or the old key', () => {
  assert.deepEqual(names({ create_replica_methods: ['a', 'basebackup'] }), ['a', 'basebackup'])
  assert.deepEqual(names({ create_replica_method: 'a, basebackup' }), ['a', 'basebackup'])
})

test("a method's own keys become its options; the command is its name unless one is given", () => {
  const pgbackrest = {
    command: '/usr/bin/pgbackrest restore',
    keep_data: true,
    no_params: 'on',
    stanza: 'main',
    n: 3,
  }
  assert.deepEqual(
    read({ create_replica_methods: ['pgbackrest', 'wal_e'], pgbackrest, wal_e: { no_leader: 1 } }),
    [
      {
        name: 'pgbackrest',
        command: '/usr/bin/pgbackrest restore',
        options: [
          ['stanza', 'main'],
          ['n', '3'],
        ],
        noParams: true,
        keepData: true,
        noLeader: false,
      },
      { name: 'wal_e', command: 'wal_e', options: [], noParams: false, keepData: false, noLeader: true },
    ],
  )
})

function bootstrapMethod(fields: string) {
  const text = `scope: main
name: pg1
etcd3: {host: e1}
restapi: {listen: 10.0.0.1:8008}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl}}
bootstrap: {method: pitr, pitr: {${fields}}}
`
  return localConfig({ file: 'p.yml', ...parseYamlMapping(text, 'p.yml') }, 'postgres')
}

test('a custom bootstrap method gets its own keys as options, and recovers to the end of the archive unless a target is named', () => {
  const { bootstrap } = bootstrapMethod(
    'command: get -x, stanza: main, no_params: off, recovery_conf: {restore_command: cp %f %p}',
  )
  assert.deepEqual(bootstrap.method, {
    name: 'pitr',
    command: 'get -x',
    options: [['stanza', 'main']],
    noParams: false,
    keepsRecovery: false,
    recovery: {
      recovery_target_timeline: 'latest',
      recovery_target_action: 'promote',
      restore_command: 'cp %f %p',
    },
  })
  assert.equal(bootstrapMethod('command: x').bootstrap.method?.recovery['recovery_target_action'], undefined)
})

test('the recovery that the program prepared stays with keep_existing_recovery_conf, and what stands beside it is told', () => {
  const { bootstrap, warnings } = bootstrapMethod(
    'command: x, no_params: yes, keep_existing_recovery_conf: yes, recovery_conf: {recovery_target: immediate}',
  )
  const { keepsRecovery, recovery, noParams } = bootstrap.method ?? {}
  assert.deepEqual([keepsRecovery, recovery, noParams], [true, {}, true])
  assert.match(warnings.map(({ says }) => says).join(), /no effect beside keep_existing_recovery_conf/)
})
