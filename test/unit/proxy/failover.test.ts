import assert from 'node:assert/strict'
import test from 'node:test'
import { parseJsonObject } from '../../../src/cluster/json.ts'
import { printFailover, readPhases } from '../../../src/proxy/failover.ts'

const report = {
  from: 'pg1',
  to: 'pg2',
  timeline: 7,
  times: { lastGoodAtMs: 1000, keyGoneAtMs: 2020, lockAtMs: 2032, routedAtMs: 2260 },
  phases: { lockMs: 10, promoteMs: 190 },
  sessionsCut: 37,
  sessionsHeld: 212,
}

test('the failover line names the phases that the new leader told', () => {
  assert.equal(
    printFailover(report),
    'failover to timeline 7: pg1 -> pg2 in 1.26 s (last good answer to key gone 1.02, lock 0.01, promote 0.19, ' +
      'routed 0.04); 37 sessions cut, 212 held',
  )
})

test('without a word from the new leader its promotion is left out', () => {
  assert.equal(
    printFailover({ ...report, phases: undefined }),
    'failover to timeline 7: pg1 -> pg2 in 1.26 s (last good answer to key gone 1.02, lock 0.01, routed 0.23); ' +
      '37 sessions cut, 212 held',
  )
})

test('an unknown timeline is left out, and no phase is negative', () => {
  const times = { lastGoodAtMs: 1000, keyGoneAtMs: 900, lockAtMs: 900, routedAtMs: 1100 }
  assert.equal(
    printFailover({ ...report, timeline: undefined, times, phases: { lockMs: 500, promoteMs: 500 } }),
    'failover: pg1 -> pg2 in 0.10 s (last good answer to key gone 0.00, lock 0.50, promote 0.50, routed 0.00); ' +
      '37 sessions cut, 212 held',
  )
})

const published: readonly (readonly [string, unknown])[] = [
  ['{"version":"0.1.0","phases":{"lock_ms":12,"promote_ms":190}}', { lockMs: 12, promoteMs: 190 }],
  ['{"phases":{"promote_ms":190}}', { lockMs: undefined, promoteMs: 190 }],
  ['{"phases":{"promote_ms":"soon"}}', undefined],
  ['{"phases":[]}', undefined],
  ['{"version":"0.1.0"}', undefined],
]
for (const [text, want] of published) {
  test(`phases of ${text}`, () => assert.deepEqual(readPhases(parseJsonObject(text)), want))
}
