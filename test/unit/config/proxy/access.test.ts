import assert from 'node:assert/strict'
import test from 'node:test'
import { isAccepted, parseRange } from '../../../../src/config/proxy/access.ts'
import type { AccessRule } from '../../../../src/config/proxy/types.ts'

function rule(action: 'accept' | 'reject', networks: readonly string[], negated = false): AccessRule {
  const ranges = networks.map(parseRange)
  assert.ok(
    ranges.every(range => range !== undefined),
    networks.join(),
  )
  return { action, ranges, negated }
}

// rules, address, let in
const rows: readonly (readonly [string, readonly AccessRule[], string | undefined, boolean])[] = [
  ['no rule', [], '203.0.113.9', true],
  ['a denied network', [rule('reject', ['10.0.0.0/8'])], '10.200.3.4', false],
  ['outside of a denied network', [rule('reject', ['10.0.0.0/8'])], '11.0.0.1', true],
  ['the mapped form of a denied address', [rule('reject', ['10.0.0.0/8'])], '::ffff:10.1.2.3', false],
  ['the mapped form in hexadecimal', [rule('reject', ['10.0.0.0/8'])], '::ffff:a01:203', false],
  ['an allowed network', [rule('reject', ['10.0.0.0/8', '2001:db8::/32'], true)], '2001:db8:5::1', true],
  ['not in an allowed network', [rule('reject', ['10.0.0.0/8'], true)], '2001:db9::1', false],
  ['a network that ends inside of a byte', [rule('reject', ['10.16.0.0/12'])], '10.31.255.255', false],
  ['just outside of it', [rule('reject', ['10.16.0.0/12'])], '10.32.0.0', true],
  [
    'the first rule decides',
    [rule('accept', ['10.1.0.0/16']), rule('reject', ['10.0.0.0/8'])],
    '10.1.9.9',
    true,
  ],
  ['a mask in the old form', [rule('reject', ['10.0.0.0/255.0.0.0'])], '10.9.9.9', false],
  ['an address that cannot be read', [rule('accept', ['0.0.0.0/0'])], undefined, false],
]
for (const [name, rules, address, want] of rows) {
  test(`${name}: ${want ? 'in' : 'out'}`, () => assert.equal(isAccepted(address, rules), want))
}

test('what is no network is none', () => {
  for (const text of [
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/255.0.255.0',
    '2001:db8::/129',
    'host',
    '1.2.3.999',
    ':::',
  ]) {
    assert.equal(parseRange(text), undefined, text)
  }
})
