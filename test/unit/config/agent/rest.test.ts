import assert from 'node:assert/strict'
import test from 'node:test'
import { ctlConfig } from '../../../../src/config/agent/ctl.ts'
import { localConfig } from '../../../../src/config/agent/local.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'

function read(restapi: string, more = '') {
  const text = `
name: pg1
scope: main
etcd3: {hosts: '10.0.0.4:2379'}
restapi: {listen: '10.0.0.1:8008'${restapi === '' ? '' : `, ${restapi}`}}
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication: {replication: {username: repl, password: a}}
${more}`
  return localConfig({ file: 'f.yml', ...parseYamlMapping(text, 'f.yml') }, 'postgres')
}

test('without settings everybody may do everything in clear text', () => {
  const { rest, restClient } = read('')
  assert.deepEqual(
    [rest.tls, rest.authentication, rest.readOnly, rest.allowlist, rest.allowlistIncludesMembers],
    [undefined, undefined, undefined, [], false],
  )
  assert.deepEqual(restClient, {
    authentication: undefined,
    insecure: false,
    cacert: undefined,
    certfile: undefined,
    keyfile: undefined,
    keyfilePassword: undefined,
  })
})

test('certificates, headers and lists are read; https headers count only with a certificate', () => {
  const headers =
    "http_extra_headers: {A: b}, https_extra_headers: {C: 'd'}, allowlist: [10.0.0.0/8, pg1, '::1']"
  assert.deepEqual(read(headers).rest.extraHeaders, { A: 'b' })
  const { rest } = read(`certfile: c, cafile: a, verify_client: REQUIRED, ${headers}`)
  assert.deepEqual([rest.tls?.certfile, rest.tls?.cafile, rest.tls?.verifyClient], ['c', 'a', 'required'])
  assert.deepEqual(rest.extraHeaders, { A: 'b', C: 'd' })
  assert.deepEqual(rest.allowlist, ['10.0.0.0/8', 'pg1', '::1'])
})

test('calls use the ctl section, else restapi', () => {
  const restapi = 'certfile: rc, keyfile: rk, cafile: ra, authentication: {username: r, password: p}'
  assert.deepEqual(read(restapi).restClient, {
    authentication: { username: 'r', password: 'p' },
    insecure: false,
    cacert: 'ra',
    certfile: 'rc',
    keyfile: 'rk',
    keyfilePassword: undefined,
  })
  const ctl = 'ctl: {certfile: cc, cacert: ca, insecure: on, authentication: {username: c, password: p}}'
  const { restClient } = read(restapi, ctl)
  assert.deepEqual(
    [
      restClient.certfile,
      restClient.keyfile,
      restClient.cacert,
      restClient.insecure,
      restClient.authentication?.username,
    ],
    ['cc', 'rk', 'ca', true, 'c'],
  )
  const text = `etcd3: {host: '10.0.0.4:2379'}\n${ctl}\n`
  assert.equal(
    ctlConfig({ file: 'c.yml', ...parseYamlMapping(text, 'c.yml') }, undefined).restClient.certfile,
    'cc',
  )
})

const mistakes: readonly (readonly [string, RegExp])[] = [
  ['verify_client: yes_please', /restapi\.verify_client: expected none, optional, required/],
  ['verify_client: required', /restapi\.certfile: expected a certificate, because verify_client is set/],
  [
    'certfile: c, verify_client: optional',
    /restapi\.cafile: expected the authority of the client certificates/,
  ],
  [
    'allowlist: [10.0.0.0/33]',
    /restapi\.allowlist: expected addresses, networks like 10\.0\.0\.0\/8, or host names/,
  ],
  ["allowlist: ['10.0.0.1 10.0.0.2']", /restapi\.allowlist/],
  [
    "http_extra_headers: {'A\\nB': c}",
    /restapi\.http_extra_headers: expected a mapping|restapi\.http_extra_headers: expected names/,
  ],
  ['server_tokens: none', /restapi\.server_tokens: expected original, minimal, productonly/],
  ['read_only_authentication: {username: x}', /restapi\.read_only_authentication\.password/],
]
for (const [restapi, message] of mistakes) {
  test(`${restapi} is refused`, () => {
    assert.throws(() => read(restapi), { name: 'UserError', message })
  })
}
