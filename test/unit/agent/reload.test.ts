import assert from 'node:assert/strict'
import test from 'node:test'
import { takeReloaded } from '../../../src/agent/reload.ts'
import { localConfig } from '../../../src/config/agent/local.ts'
import { parseYamlMapping } from '../../../src/config/agent/yaml.ts'

const base = `
name: pg1
scope: main
etcd3: {hosts: '10.0.0.4:2379'}
restapi: {listen: '10.0.0.1:8008'}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl, password: a}}
`
function local(text: string) {
  return localConfig({ file: 'patroni.yml', ...parseYamlMapping(text, 'patroni.yml') }, 'postgres')
}

test('tags, accounts, passwords, addresses of the REST server and parameters are taken', () => {
  const changed = base
    .replace('password: a', 'password: b')
    .replace("'10.0.0.1:8008'", "'10.0.0.1:8009', authentication: {username: op, password: x}")
  const { local: now, later } = takeReloaded(
    local(base),
    local(`${changed}  parameters: {work_mem: 9MB}\ntags: {zone: b}\n`),
  )
  assert.deepEqual(later, [])
  assert.deepEqual(now.tags, { zone: 'b' })
  assert.equal(now.rest.listen.port, 8009)
  assert.equal(now.rest.authentication?.username, 'op')
  assert.equal(now.postgres.replication.password, 'b')
  assert.deepEqual(now.postgres.raw['parameters'], { work_mem: '9MB' })
})

const fixed: readonly (readonly [string, string, string])[] = [
  ['name', 'name: pg1', 'name: pg2'],
  ['scope', 'scope: main', 'scope: other'],
  ['etcd3', '10.0.0.4:2379', '10.0.0.5:2379'],
  ['pgherd.vip', 'name: pg1', 'name: pg1\npgherd: {vip: {write: {addresses: [10.0.0.9], interface: eth0}}}'],
  ['postgresql.data_dir', 'data_dir: /data', 'data_dir: /other'],
  ['postgresql.listen', 'listen: 10.0.0.1:5432', 'listen: 10.0.0.2:5432'],
  ['postgresql.listen (port)', 'listen: 10.0.0.1:5432', 'listen: 10.0.0.1:5433'],
  ['postgresql.config_dir', 'data_dir: /data', 'data_dir: /data\n  config_dir: /etc/pg'],
]
for (const [path, from, to] of fixed) {
  test(`${path} stays as it was and is told`, () => {
    const before = local(base)
    const { local: now, later } = takeReloaded(before, local(base.replace(from, to)))
    assert.deepEqual(later, [path])
    assert.deepEqual({ ...now, warnings: [] }, { ...before, warnings: [] })
  })
}
