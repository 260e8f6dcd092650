// From which address an instance sends: the interface's own first one, never a virtual one.

import assert from 'node:assert/strict'
import test from 'node:test'
import { senderOf } from '../../../../src/vip/vrrp/sender.ts'

const at = (index: number, address: string, prefixLength = 64) => {
  return { index, address, family: address.includes(':') ? (6 as const) : (4 as const), prefixLength }
}
const present = [
  at(1, '127.0.0.1'),
  at(2, 'fe80::ffff:210'),
  at(2, 'fe80::ffff:211'),
  at(2, 'fd77::5'),
  at(2, 'fe80::5'),
  at(2, '10.0.0.210'),
  at(2, '10.0.0.5'),
  at(3, 'fe80::6'),
]

test('an advert of IPv6 leaves from the link-local address of the interface itself', () => {
  // The second instance has 211; both belong to this process.
  const virtual = new Set(['fe80::ffff:210', 'fe80::ffff:211'])
  assert.equal(senderOf({ index: 2, family: 6 }, present, virtual), 'fe80::5')
})

test('an advert of IPv4 leaves from the first address that is no virtual one', () => {
  assert.equal(senderOf({ index: 2, family: 4 }, present, new Set(['10.0.0.210'])), '10.0.0.5')
})

test('an interface that has only virtual addresses, or is not there, has no sender', () => {
  assert.equal(senderOf({ index: 2, family: 4 }, present, new Set(['10.0.0.210', '10.0.0.5'])), undefined)
  assert.equal(senderOf({ index: undefined, family: 4 }, present, new Set()), undefined)
})
