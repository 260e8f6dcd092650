import assert from 'node:assert/strict'
import test from 'node:test'
import { usableAddresses } from '../../../../src/dcs/etcd/advertised.ts'
import { parseEndpoint } from '../../../../src/dcs/etcd/options.ts'

// what is configured, what a member advertises, what of it is used
const rows: readonly (readonly [readonly string[], readonly string[], readonly string[]])[] = [
  [['10.0.0.1:2379'], ['http://10.0.0.2:2379'], ['10.0.0.2:2379']],
  [['10.0.0.1:2379'], ['http://10.0.0.1:2379'], []],
  [['10.0.0.1:2379'], ['http://localhost:2379'], []],
  [['10.0.0.1:2379'], ['http://127.0.0.1:2379', 'http://10.0.0.2:2379'], ['10.0.0.2:2379']],
  [['10.0.0.1:2379'], ['http://[::1]:2379'], []],
  [['10.0.0.1:2379'], ['http://0.0.0.0:2379'], []],
  [['10.0.0.1:2379'], ['http://[::]:2379'], []],
  [['10.0.0.1:2379'], ['http://169.254.1.1:2379', 'http://[fe80::1]:2379'], []],
  [['10.0.0.1:2379'], ['https://10.0.0.2:2379'], []],
  [['https://10.0.0.1:2379'], ['http://10.0.0.2:2379'], []],
  [['https://10.0.0.1:2379'], ['https://etcd2:2379'], ['etcd2:2379']],
  [['10.0.0.1:2379'], ['unix://localhost:1', 'nonsense', ''], []],
  [
    ['127.0.0.1:2379'],
    ['http://127.0.0.1:12379', 'http://localhost:2380'],
    ['127.0.0.1:12379', 'localhost:2380'],
  ],
  [['127.0.0.1:2379'], ['http://0.0.0.0:12379'], []],
  [['127.0.0.1:2379', '10.0.0.1:2379'], ['http://127.0.0.1:12379'], []],
]
for (const [configured, clientUrls, used] of rows) {
  test(`configured ${configured}, advertised ${clientUrls.join(' ')}: ${used.join(' ') || 'nothing'} is used`, () => {
    const usable = usableAddresses(
      [{ id: '1', name: 'm', clientUrls }],
      configured.map(text => parseEndpoint(text)),
    )
    assert.deepEqual(
      usable.map(({ address }) => address.name),
      used,
    )
  })
}

test('a list that is too long is cut, and no address comes twice', () => {
  const members = Array.from({ length: 40 }, (_, index) => ({
    id: String(index),
    name: 'm',
    clientUrls: [`http://10.0.1.${index}:2379`, `http://10.0.1.${index}:2379`],
  }))
  const usable = usableAddresses(members, [parseEndpoint('10.0.0.1')])
  assert.equal(usable.length, 15)
  assert.equal(new Set(usable.map(({ address }) => address.name)).size, 15)
})
