// Texts that are empty: left by a template whose variable is not set. They count as not given, as Patroni takes them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { localConfig } from '../../../../src/config/agent/local.ts'
import type { LocalConfig } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

interface Sections {
  readonly etcd3?: string
  readonly restapi?: string
  readonly postgresql?: string
  readonly more?: string
}

function read({ etcd3 = 'host: e1', restapi = '', postgresql = '', more = '' }: Sections): LocalConfig {
  const text = `scope: main
name: pg1
etcd3: {${etcd3}}
restapi: {listen: '10.0.0.1:8008', ${restapi}}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl, password: '', sslmode: ''}, superuser: {username: '', password: ''}}
  ${postgresql}
${more}
`
  return localConfig({ file: 'p.yml', ...parseYamlMapping(text, 'p.yml') }, 'me')
}

test('empty paths of the server, and accounts without a name, are as if they were not there', () => {
  const { postgres, warnings } = read({
    postgresql: '{}'.replace('{}', "bin_dir: ''\n  pgpass: ''\n  database: ''"),
  })
  assert.deepEqual([postgres.binDir, postgres.pgpass, postgres.database], [undefined, undefined, 'postgres'])
  assert.deepEqual(postgres.superuser, { username: 'me', password: undefined, options: {} })
  assert.deepEqual(postgres.replication, { username: 'repl', password: undefined, options: {} })
  assert.deepEqual(warnings, [])
})

test('empty certificates of the REST server and of its callers mean none', () => {
  const { rest, restClient } = read({
    restapi: "certfile: '', keyfile: '', cafile: '', connect_address: ''",
    more: "ctl: {cacert: '', certfile: '', keyfile: ''}",
  })
  assert.equal(rest.tls, undefined)
  assert.deepEqual(rest.connectAddress, { host: '10.0.0.1', port: 8008 })
  assert.deepEqual(
    [restClient.cacert, restClient.certfile, restClient.keyfile],
    [undefined, undefined, undefined],
  )
})

test('an empty cafile of ctl leaves that of restapi to count', () => {
  const { restClient } = read({
    restapi: 'certfile: /c, cafile: /ca',
    more: "ctl: {cacert: '', certfile: ''}",
  })
  assert.deepEqual([restClient.cacert, restClient.certfile], ['/ca', '/c'])
})

test('empty keys of the etcd section leave the next one to count', () => {
  const empty = ['proxy', 'url', 'srv', 'hosts', 'protocol', 'username', 'password', 'cacert', 'cert', 'key']
  const { etcd, warnings } = read({ etcd3: `host: e1, ${empty.map(key => `${key}: ''`).join(', ')}` })
  assert.deepEqual(etcd, {
    endpoints: ['http://e1:2379'],
    srv: undefined,
    followMembers: true,
    transport: 'grpc',
    username: undefined,
    password: undefined,
    cacert: undefined,
    cert: undefined,
    key: undefined,
  })
  assert.deepEqual(warnings, [])
})

test('an empty text where something must stand is told as found, not as missing', () => {
  assert.throws(() => read({ etcd3: "host: ''" }), {
    message: 'p.yml:3: etcd3.host: expected host:port of etcd, found ""',
  })
})

test('a guard that is empty is refused, and no open door', () => {
  assert.throws(
    () => read({ restapi: "certfile: /c, keyfile: /k, cafile: /ca, verify_client: ''" }),
    /^UserError: p\.yml:4: restapi\.verify_client/,
  )
  assert.throws(() => read({ more: "watchdog: {mode: ''}" }), /^UserError: p\.yml:\d+: watchdog\.mode/)
  for (const guard of ["authentication: {username: '', password: ''}", "allowlist: ''"])
    assert.throws(() => read({ restapi: guard }), /^UserError: p\.yml:4: restapi\.a/)
})
