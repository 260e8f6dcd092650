import assert from 'node:assert/strict'
import test from 'node:test'
import { parseEndpoint } from '../../../../src/dcs/etcd/options.ts'
import { UserError } from '../../../../src/platform/errors.ts'

const good: readonly (readonly [string, string, number, boolean, string])[] = [
  ['10.0.0.4:2379', '10.0.0.4', 2379, false, '10.0.0.4:2379'],
  ['10.0.0.4', '10.0.0.4', 2379, false, '10.0.0.4:2379'],
  ['http://etcd1:12379/', 'etcd1', 12379, false, 'etcd1:12379'],
  ['https://etcd1.example.org', 'etcd1.example.org', 2379, true, 'etcd1.example.org:2379'],
  ['http://[::1]:2379', '::1', 2379, false, '[::1]:2379'],
  [' [fe80::1] ', 'fe80::1', 2379, false, '[fe80::1]:2379'],
]
for (const [text, host, port, secure, name] of good) {
  test(`"${text}" is an endpoint`, () => {
    assert.deepEqual(parseEndpoint(text), { host, port, secure, name })
  })
}

for (const text of [
  '',
  'http://',
  'ftp://a:1',
  'a b:1',
  '10.0.0.4:0',
  '10.0.0.4:65536',
  'host:port',
  '::1',
]) {
  test(`"${text}" is refused by name`, () => {
    assert.throws(
      () => parseEndpoint(text),
      error => error instanceof UserError && error.message.includes(`"${text}"`),
    )
  })
}
