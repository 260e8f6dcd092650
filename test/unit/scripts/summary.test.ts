import assert from 'node:assert/strict'
import test from 'node:test'
import { budgetLine, fileLines, totalLine, totals } from '../../../scripts/lib/tests/summary.js'
import { STAGES } from '../../../scripts/lib/tests/tiers.js'

const passed = { name: 'works', result: 'passed', durationMs: 1 } as const
const failed = { name: 'breaks', result: 'failed', durationMs: 1, error: 'because' } as const
const skipped = { name: 'waits', result: 'skipped', durationMs: 0, reason: 'no chromium here' } as const

test('the totals have the form of the test runner of Node', () => {
  assert.match(
    totals([passed, passed, failed, skipped], 12.4),
    /^# tests 4\n# pass 2\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0\n# duration_ms 12$/,
  )
})

test('a skipped test is printed with its reason and a failed one with its error', () => {
  const file = { file: 'test/unit/a.test.ts', tier: 'unit', notes: [], durationMs: 5, output: '', work: '/x' }
  const text = fileLines({ ...file, tests: [passed, failed, skipped] })
  assert.match(text, /^FAIL test\/unit\/a\.test\.ts {2}3 tests/)
  assert.match(text, /fail breaks\n {7}because/)
  assert.match(text, /skip waits: no chromium here/)
})

test('a stage over its budget is named, over three times its budget it fails', () => {
  const unit = STAGES.find(stage => stage.name === 'unit')
  assert.ok(unit)
  assert.deepEqual(budgetLine(unit, 5_000), { text: 'unit: 5.0 s of 20 s', failed: false })
  assert.deepEqual(budgetLine(unit, 21_000), { text: 'unit: 21.0 s of 20 s: OVER ITS BUDGET', failed: false })
  assert.equal(budgetLine(unit, 59_000).failed, false)
  assert.equal(budgetLine(unit, 61_000).failed, true)
})

test('a run of everything is held against its 18 minutes', () => {
  assert.equal(totalLine(956_000), 'everything: 956.0 s of 1080 s')
  assert.equal(totalLine(1_081_000), 'everything: 1081.0 s of 1080 s: OVER ITS BUDGET')
})
