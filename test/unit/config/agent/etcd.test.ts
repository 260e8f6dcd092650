// The section of etcd, with every key that Patroni knows for it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { readEtcd } from '../../../../src/config/agent/etcd.ts'
import { Section } from '../../../../src/config/agent/section.ts'
import type { ConfigWarning, EtcdConfig } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'
import { UserError } from '../../../../src/platform/errors.ts'

/** The section of a file `p.yml` whose third line it is. */
function read(section: string): { readonly etcd: EtcdConfig; readonly warnings: readonly ConfigWarning[] } {
  const { value, places } = parseYamlMapping(`scope: main\nname: pg1\n${section}\n`, 'p.yml')
  const warnings: ConfigWarning[] = []
  return { etcd: readEtcd(new Section(value, [], { file: 'p.yml', places, warnings })), warnings }
}

test('etcd endpoints come from url, host, and text with commas alike', () => {
  const section = (text: string) => read(text).etcd.endpoints
  assert.deepEqual(section('etcd3: {url: https://e1}\n'), ['https://e1:2379'])
  assert.deepEqual(section('etcd3: {host: e1, protocol: https}\n'), ['https://e1:2379'])
  assert.deepEqual(section('etcd3: {hosts: "e1:1, e2"}\n'), ['http://e1:1', 'http://e2:2379'])
  assert.deepEqual(section("etcd3: {host: '[::1]:2379'}\n"), ['http://[::1]:2379'])
  assert.deepEqual(section('etcd3: {hosts: ["https://e1:1", e2], protocol: http}\n'), [
    'https://e1:1',
    'http://e2:2379',
  ])
  assert.deepEqual(section('etcd3: {url: "https://e1:443"}\n'), ['https://e1:443'])
})

test('every key of an etcd section is understood', () => {
  const etcd = (text: string) => read(`etcd3: {${text}}`).etcd
  const url = etcd('url: "https://ann:p%40ss@e1:2379"')
  assert.deepEqual([url.endpoints, url.username, url.password], [['https://e1:2379'], 'ann', 'p@ss'])
  assert.equal(etcd('url: "https://ann:p@e1", password: other').password, 'other')
  assert.deepEqual(etcd('srv: example.org., srv_suffix: blue').srv, { domain: 'example.org', suffix: 'blue' })
  assert.deepEqual(etcd('discovery_srv: example.org').srv, { domain: 'example.org', suffix: undefined })
  assert.deepEqual(etcd('srv_domain: example.org').endpoints, [])
  assert.equal(etcd('host: e1').followMembers, true)
  assert.equal(etcd('proxy: "http://e1:2379"').followMembers, false)
  assert.equal(etcd('host: e1, use_proxies: on').followMembers, false)
  assert.deepEqual(
    [etcd('host: e1').transport, etcd('host: e1, transport: http').transport],
    ['grpc', 'http'],
  )
  const tls = etcd('host: e1, protocol: https, cacert: /ca, cert: /crt, key: /key')
  assert.deepEqual([tls.cacert, tls.cert, tls.key], ['/ca', '/crt', '/key'])
})

// the section, what is said of it
const wrongEtcd: readonly (readonly [string, string])[] = [
  [
    'host: e1, transport: carrier-pigeon',
    'p.yml:3: etcd3.transport: expected grpc or http, found "carrier-pigeon"',
  ],
  [
    'host: "root:hidden@e1:2379"',
    'p.yml:3: etcd3.host: expected host:port of etcd; username and password are keys of their own',
  ],
  [
    'hosts: [e1, "https://root:hidden@e2"]',
    'p.yml:3: etcd3.hosts: expected host:port of etcd; username and password are keys of their own',
  ],
  ['host: e1, protocol: ftp', 'p.yml:3: etcd3.protocol: expected http or https, found "ftp"'],
  ['srv: "a b"', 'p.yml:3: etcd3.srv: expected a DNS domain, such as example.org, found "a b"'],
  ['url: "e1:2379/secret"', 'p.yml:3: etcd3.url: expected a URL like http://10.0.0.4:2379'],
  [
    'host: e1, protocol: https, key: /key',
    'p.yml:3: etcd3.cert: expected the certificate of `key`, but it is missing',
  ],
]
for (const [section, says] of wrongEtcd) {
  test(`an etcd section with ${section} is refused in one line`, () => {
    assert.throws(
      () => read(`etcd3: {${section}}`),
      error => error instanceof UserError && error.message === says,
    )
  })
}

test('certificates without https are warned about', () => {
  const { warnings } = read('etcd3: {host: e1, cacert: /ca.pem}')
  assert.deepEqual(
    warnings.map(({ keyPath, says }) => [keyPath, says]),
    [['etcd3.cacert', 'has no effect without `protocol: https`']],
  )
})
