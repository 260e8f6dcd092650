// How a watchdog is set, and which answers may feed it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { judgeTimeout, mayFeed, planObstacle, watchdogPlan } from '../../../src/agent/watchdog-plan.ts'

// safety margin, ttl, loop_wait: the timeout, the slack, whether it can be used
const plans = [
  [5, 30, 10, 25, 15, true],
  [-1, 30, 10, 15, 5, true],
  [-1, 31, 10, 15, 5, true],
  [5, 20, 10, 15, 5, true],
  [15, 30, 15, 15, 0, true],
  [15, 30, 16, 15, -1, false],
  [5, 5, 1, 0, -1, false],
  [-1, 5, 1, 2, 1, true],
  [0, 30, 10, 30, 20, true],
] as const
for (const [margin, ttl, loopWait, timeoutSeconds, slackSeconds, isUsable] of plans) {
  test(`margin ${margin}, ttl ${ttl}, loop_wait ${loopWait}: ${timeoutSeconds} s, slack ${slackSeconds} s`, () => {
    const plan = watchdogPlan({ safetyMarginSeconds: margin }, ttl, loopWait)
    assert.deepEqual(plan, { timeoutSeconds, slackSeconds })
    assert.equal(planObstacle(plan, loopWait) === undefined, isUsable)
  })
}

// what the driver has in force where 25 s were wanted and a turn may take 10 s
const verdicts = [
  [25, 'safe'],
  [10, 'safe'],
  [26, 'unsafe'],
  [9, 'useless'],
] as const
for (const [actual, kind] of verdicts) {
  test(`a device that fires after ${actual} s is ${kind}`, () => {
    assert.equal(judgeTimeout({ timeoutSeconds: 25, slackSeconds: 15 }, actual, 10).kind, kind)
  })
}

const proof = {
  nowMs: 100_000,
  sentAtMs: 99_900,
  ttlMs: 30_000,
  timeoutMs: 25_000,
  leftMs: 20_000,
  isFencing: false,
}
const proofs: readonly (readonly [string, Partial<typeof proof>, boolean])[] = [
  ['a quick answer', {}, true],
  ['without leadership', { leftMs: 0 }, false],
  ['while the fence ends the server', { isFencing: true }, false],
  ['an answer almost as old as the margin', { sentAtMs: 95_500 }, true],
  ['an answer as old as the margin', { sentAtMs: 95_000 }, false],
  ['without a margin, an answer of usual length', { timeoutMs: 30_000, sentAtMs: 97_500 }, true],
  ['without a margin, a late one', { timeoutMs: 30_000, sentAtMs: 96_000 }, false],
  ['half of the lease as margin', { timeoutMs: 15_000, sentAtMs: 87_000 }, true],
]
for (const [situation, changes, may] of proofs) {
  test(`${situation}: ${may ? 'feeds' : 'does not feed'} it`, () => {
    const given = { ...proof, ...changes }
    assert.equal(mayFeed(given), may)
    const firesMs = given.nowMs + given.timeoutMs
    // With a margin of the operator's a machine that freezes now is reset before its lease ends.
    if (may && given.timeoutMs < given.ttlMs) assert.ok(firesMs <= given.sentAtMs + given.ttlMs)
  })
}
