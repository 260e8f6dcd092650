// The store's address on ctl's command line, as patronictl reads it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { readDcsUrl } from '../../../../src/config/agent/ctl.ts'
import { UserError } from '../../../../src/platform/errors.ts'

test('a URL without a scheme means etcd, with or without a port and a namespace', () => {
  const expected = { endpoint: 'http://10.0.0.4:2379', isSchemeGiven: false, namespace: undefined }
  for (const text of ['10.0.0.4', '10.0.0.4:2379', 'etcd://10.0.0.4', 'etcd3://10.0.0.4:2379'])
    assert.deepEqual(readDcsUrl(text), expected)
  assert.equal(readDcsUrl('10.0.0.4/db/x').namespace, '/db/x')
  assert.deepEqual(readDcsUrl('https://[::1]:2380'), {
    endpoint: 'https://[::1]:2380',
    isSchemeGiven: true,
    namespace: undefined,
  })
})

for (const [port, store] of [
  [2181, 'zookeeper'],
  [8181, 'exhibitor'],
  [8500, 'consul'],
] as const) {
  test(`port ${port} without a scheme is refused as ${store}, and is an etcd's where the scheme says so`, () => {
    assert.throws(
      () => readDcsUrl(`10.0.0.4:${port}/service`),
      (error: unknown) =>
        error instanceof UserError &&
        error.message ===
          `10.0.0.4:${port}/service: without a scheme this port means ${store}, and etcd is the store here (see docs/other-stores.md); ` +
            `for an etcd on this port write etcd3://10.0.0.4:${port}/service`,
    )
    assert.equal(readDcsUrl(`etcd3://10.0.0.4:${port}`).endpoint, `http://10.0.0.4:${port}`)
  })
}

for (const scheme of ['consul', 'zookeeper', 'exhibitor', 'kubernetes', 'raft']) {
  test(`the scheme ${scheme} is refused with the way over`, () => {
    assert.throws(
      () => readDcsUrl(`${scheme}://10.0.0.4`),
      /etcd is the store here \(see docs\/other-stores\.md\)/,
    )
  })
}
