// Options of PostgreSQL's tools that stand in the cluster's configuration, and keys of it that count in the file alone.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { JsonObject } from '../../../../src/cluster/json.ts'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'
import { localConfig } from '../../../../src/config/agent/local.ts'
import { serverSettings } from '../../../../src/config/agent/settings.ts'
import type { ServerSettings } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

function settings(postgresql: JsonObject, local = ''): ServerSettings {
  const text = `scope: main
name: pg1
etcd3: {host: e1}
restapi: {listen: 10.0.0.1:8008}
postgresql:
  listen: 10.0.0.1:5432
  data_dir: /data
  connect_address: 10.0.0.1:5432
  authentication: {replication: {username: repl}}
${local}`
  const config = localConfig({ file: 'p.yml', ...parseYamlMapping(text, 'p.yml') }, 'postgres')
  return serverSettings(config, dynamicConfig({ postgresql }, true))
}

const cluster = {
  basebackup: ['verbose', { 'max-rate': '100M' }],
  rewind: { debug: null, 'sync-method': 'fsync' },
  krbsrvname: 'pg',
}

test("options of basebackup and rewind, and krbsrvname, may stand in the cluster's configuration", () => {
  const { basebackup, rewindOptions, krbsrvname, warnings } = settings(cluster)
  assert.deepEqual(basebackup, ['verbose', { 'max-rate': '100M' }])
  assert.deepEqual(rewindOptions, ['debug', { 'sync-method': 'fsync' }])
  assert.equal(krbsrvname, 'pg')
  assert.deepEqual(warnings, [])
})

test("a node's own file wins over them as a whole, also with an empty list", () => {
  const own = settings(cluster, '  basebackup: [{checkpoint: spread}]\n  rewind: []\n  krbsrvname: mine\n')
  assert.deepEqual(own.basebackup, [{ checkpoint: 'spread' }])
  assert.deepEqual(own.rewindOptions, [])
  assert.equal(own.krbsrvname, 'mine')
})

test('what is no option of a tool is left out with a warning', () => {
  const { basebackup, rewindOptions, warnings } = settings({
    basebackup: 'fast',
    rewind: [{ a: 1, b: 2 }, 'ok'],
  })
  assert.deepEqual([basebackup, rewindOptions], [[], ['ok']])
  assert.deepEqual(warnings, [
    'postgresql.basebackup: expected a list or mapping of options',
    'postgresql.rewind: expected options as `name` or `name: value`',
  ])
})

test("keys that count in a node's file alone are told when they stand in the cluster's configuration", () => {
  const { warnings } = dynamicConfig(
    { postgresql: { bin_dir: '/x', use_unix_socket: true, parameters: {} } },
    true,
  )
  assert.deepEqual(warnings, [
    "postgresql: bin_dir, use_unix_socket: counts in a member's own file alone, and has no effect here",
  ])
  assert.deepEqual(dynamicConfig({ postgresql: { ...cluster, use_slots: true } }, true).warnings, [])
})
