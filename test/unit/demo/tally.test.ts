import assert from 'node:assert/strict'
import test from 'node:test'
import { Tally } from '../../../src/demo/tally.ts'

function tallyAt(...times: readonly number[]): Tally {
  const tally = new Tally(0)
  for (const [index, atMs] of times.entries()) tally.acknowledge(index + 1, atMs)
  return tally
}

test('the longest gap lies between two acknowledgements', () => {
  assert.deepEqual(tallyAt(10, 20, 520, 530).longestGap(540), { ms: 500, fromMs: 20, toMs: 520 })
})

test('the time before the first acknowledgement and after the last one counts', () => {
  assert.deepEqual(tallyAt(300, 310).longestGap(320), { ms: 300, fromMs: 0, toMs: 300 })
  assert.deepEqual(tallyAt(10, 20).longestGap(1_020), { ms: 1_000, fromMs: 20, toMs: 1_020 })
  assert.equal(new Tally(0).longestGap(700).ms, 700)
})

test('a gap is found since an instant, and counts from its own beginning', () => {
  const tally = tallyAt(10, 900, 910, 1_200, 1_210)
  assert.deepEqual(tally.longestGap(1_220, 950), { ms: 290, fromMs: 910, toMs: 1_200 })
  assert.equal(tally.longestGap(1_100, 950).ms, 190)
})

test('the first acknowledgement after an instant is found', () => {
  const tally = tallyAt(10, 20, 30)
  assert.equal(tally.firstAfter(15), 20)
  assert.equal(tally.firstAfter(20), 20)
  assert.equal(tally.firstAfter(31), undefined)
})

test('errors are counted by code, and read-only and refused ones by name', () => {
  const tally = tallyAt(10)
  for (const code of ['25006', 'ECONNREFUSED', 'ECONNREFUSED', '57P01']) {
    tally.fail({ atMs: 20, code, phase: 'insert', text: 'x' })
  }
  assert.deepEqual(tally.summary(30), {
    acknowledged: 1,
    readOnlyErrors: 1,
    refused: 2,
    failed: 4,
    longestGapMs: 20,
    errors: { '25006': 1, '57P01': 1, ECONNREFUSED: 2 },
  })
})
