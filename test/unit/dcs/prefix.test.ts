import assert from 'node:assert/strict'
import test from 'node:test'
import { prefixEnd, scopePrefix } from '../../../src/dcs/prefix.ts'

const prefixes: readonly (readonly [string, string, string])[] = [
  ['service', 'pgsql', '/service/pgsql/'],
  ['/service/', 'pgsql', '/service/pgsql/'],
  ['//a//b/', '/pgsql/', '/a/b/pgsql/'],
  ['', 'pgsql', '/pgsql/'],
]
for (const [namespace, scope, want] of prefixes) {
  test(`namespace "${namespace}" and scope "${scope}" live below ${want}`, () => {
    assert.equal(scopePrefix(namespace, scope), want)
  })
}

test('the range over a prefix ends at the next key of another prefix', () => {
  assert.equal(prefixEnd('/service/pgsql/').toString(), '/service/pgsql0')
  assert.deepEqual(prefixEnd('a'), Buffer.from('b'))
  assert.equal(prefixEnd('').toString('hex'), '00')
})
