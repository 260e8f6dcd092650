import assert from 'node:assert/strict'
import test from 'node:test'
import { isProven } from '../../../src/agent/slot-copies.ts'
import { slotOnPrimary } from '../../../src/agent/slots.ts'
import { view } from './scene.ts'

const rows = [
  // what the leader's slot kept first, what the leader keeps for us, what our copy needs, proven
  [100, 100, 100, true],
  [100, 105, 105, true],
  [100, 105, 120, true],
  // Between 90 and 100 the leader's slot had let go before ours was kept.
  [100, 90, 90, false],
  // The leader keeps less for us than our copy needs.
  [100, 105, 104, false],
  [100, 105, undefined, false],
  // Transaction numbers begin anew after 2^32.
  [4294967290, 4294967295, 3, true],
  [3, 4294967295, 5, false],
] as const
for (const [floor, standbyXmin, copyXmin, want] of rows) {
  test(`a copy that needs ${copyXmin}, with ${standbyXmin} kept for us and ${floor} before, is ${want ? '' : 'not '}proven`, () =>
    assert.equal(isProven(floor, standbyXmin, copyXmin), want))
}

test('the primary keeps rows by the slot of the member at the top of the line', () => {
  const tags = { pg3: { replicatefrom: 'pg2' }, pg2: { replicatefrom: 'gone' } }
  const seen = view({ members: ['pg1', 'pg2', 'pg3'], tags })
  assert.deepEqual(
    ['pg2', 'pg3'].map(name => slotOnPrimary(seen, name)),
    ['pg2', 'pg2'],
  )
  const round = view({ tags: { pg2: { replicatefrom: 'pg3' }, pg3: { replicatefrom: 'pg2' } } })
  assert.ok(['pg2', 'pg3'].includes(slotOnPrimary(round, 'pg2')))
})
