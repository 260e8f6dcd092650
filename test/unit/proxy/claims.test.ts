import assert from 'node:assert/strict'
import test from 'node:test'
import type { Answer } from '../../../src/health/document.ts'
import { applyClaims, FORGOTTEN_AFTER_MS } from '../../../src/proxy/claims.ts'
import { type Leadership, unknownLeadership } from '../../../src/proxy/leadership.ts'
import { answered, healthAfter, led, replica } from './facts.ts'

const SYSTEM = '7000000000000000001'

function claim(believed: Leadership, nowMs: number, answers: Readonly<Record<string, Partial<Answer>>>) {
  const health = new Map(Object.entries(answers).map(([name, one]) => [name, healthAfter(answered(one))]))
  const { next, change } = applyClaims(believed, health, nowMs)
  const { epoch, hasKey } = next
  const who = epoch === undefined ? '-' : `${epoch.member}@${epoch.createRevision}`
  return { next, got: [change, who, hasKey] as const }
}

function believing(name: string, timeline: number, changes: Partial<Leadership> = {}): Leadership {
  const epoch = { clusterId: SYSTEM, createRevision: BigInt(timeline), member: name }
  return led(name, timeline, { epoch, clusterId: SYSTEM, ...changes })
}

test('the first primary that holds the lock is believed, its own answer is the proof', () => {
  const { next, got } = claim(unknownLeadership, 10, { pg1: { timeline: 3, sentAtMs: 5 }, pg2: replica })
  assert.deepEqual(got, ['epoch', 'pg1@3', true])
  assert.equal(next.seenAtMs, 5)
})

test('the highest timeline wins over a leader that has not noticed', () => {
  const { got } = claim(believing('pg1', 3), 10, { pg1: { timeline: 3 }, pg2: { timeline: 4 } })
  assert.deepEqual(got, ['epoch', 'pg2@4', true])
})

test('an older timeline changes nothing', () => {
  const { got } = claim(believing('pg2', 4), 10, { pg1: { timeline: 3 }, pg2: { timeline: 4 } })
  assert.deepEqual(got, ['none', 'pg2@4', true])
})

test('an older timeline is not believed in place of a leader that just fell silent', () => {
  const { got } = claim(believing('pg2', 4), 10, { pg1: { timeline: 3 } })
  assert.deepEqual(got, ['key-gone', 'pg2@4', false])
})

test('an older timeline is believed when the last leader has long been forgotten', () => {
  const believed = believing('pg2', 4, { hasKey: false, goneAtMs: 0 })
  const nowMs = FORGOTTEN_AFTER_MS
  const { got } = claim(believed, nowMs, { pg1: { timeline: 3, sentAtMs: nowMs - 10 } })
  assert.deepEqual(got, ['restored', 'pg1@3', true])
})

test('two primaries of one timeline that nobody knew cancel each other', () => {
  const { got } = claim(unknownLeadership, 10, { pg1: { timeline: 3 }, pg2: { timeline: 3 } })
  assert.deepEqual(got, ['none', '-', false])
})

test('proof that expired is no claim; the same leader may come back', () => {
  const gone = claim(believing('pg1', 3), 5000, { pg1: { timeline: 3 } })
  assert.deepEqual(gone.got, ['key-gone', 'pg1@3', false])
  const back = claim(gone.next, 6000, { pg1: { timeline: 3, sentAtMs: 5900 } })
  assert.deepEqual(back.got, ['key-back', 'pg1@3', true])
})

test('a primary without the lock is no claim', () => {
  const { got } = claim(unknownLeadership, 10, { pg1: { timeline: 3, statusCode: 503 } })
  assert.deepEqual(got, ['none', '-', false])
})
