import assert from 'node:assert/strict'
import test from 'node:test'
import { complaints, printErrors, printVerdict } from '../../../src/demo/show/verdict.ts'

const good = { acknowledged: 200, missing: 0, doubled: 0, unacknowledged: 0 }

test('two hundred rows, none missing and none doubled: no complaint', () => {
  assert.deepEqual(complaints(good, 200), [])
})

for (const [what, verdict, complaint] of [
  ['one row too few', { ...good, acknowledged: 199 }, /^only 199 rows acknowledged, 200 are needed/],
  ['one acknowledged row missing', { ...good, missing: 1 }, /^1 acknowledged row missing on the leader$/],
  ['one row twice', { ...good, doubled: 1 }, /^1 row there more than once$/],
] as const) {
  test(`${what}: a complaint`, () => {
    const found = complaints(verdict, 200)
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', complaint)
  })
}

test('a row without an acknowledgement is told and no complaint', () => {
  const verdict = { ...good, unacknowledged: 2 }
  assert.deepEqual(complaints(verdict, 200), [])
  assert.match(printVerdict(verdict, 5_200), /; 2 rows there without an acknowledgement; longest wait 5\.2/)
})

test('errors are counted by code', () => {
  assert.equal(printErrors({}), 'none')
  assert.equal(printErrors({ '57P01': 4, closed: 2 }), '57P01: 4, closed: 2')
})
