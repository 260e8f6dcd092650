import assert from 'node:assert/strict'
import test from 'node:test'
import type { JsonObject } from '../../../../src/cluster/json.ts'
import { replicaMethods } from '../../../../src/config/agent/methods.ts'

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
