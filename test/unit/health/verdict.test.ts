import assert from 'node:assert/strict'
import test from 'node:test'
import type { ProbeResult } from '../../../src/health/document.ts'
import {
  judge,
  judgeConnected,
  judgeRefusal,
  leadsUntil,
  type MemberHealth,
  type PrimaryVerdict,
  primaryVerdict,
  servesReads,
} from '../../../src/health/verdict.ts'
import { answer, answered, healthAfter, limits, replica, silent, timing } from '../proxy/facts.ts'

const never = Number.NEGATIVE_INFINITY
const proofs = [
  ["a 200 counts until the next probe's timeout", answer({ sentAtMs: 100 }), 1100],
  [
    "an agent's own figure counts from before the request",
    answer({ sentAtMs: 100, leaseLeftMs: 7000 }),
    7100,
  ],
  ['an agent without time left proves nothing any more', answer({ sentAtMs: 100, leaseLeftMs: 0 }), 100],
  ['a negative figure is no time', answer({ sentAtMs: 100, leaseLeftMs: -5 }), 100],
  ['a 503 proves nothing', answer({ statusCode: 503, leaseLeftMs: 7000 }), never],
  ['a replica proves nothing', answer({ role: 'replica' }), never],
  ['a server that starts proves nothing', answer({ state: 'starting' }), never],
] as const
for (const [name, given, want] of proofs) {
  test(name, () => assert.equal(leadsUntil(given, timing), want))
}

// what was seen, verdict when asked about the time since 1000
const verdicts: readonly (readonly [string, readonly ProbeResult[], PrimaryVerdict])[] = [
  ['nothing', [], 'unknown'],
  ['a running primary', [answered({ sentAtMs: 1000 })], 'primary'],
  ['a primary of before', [answered({ sentAtMs: 999 })], 'unknown'],
  ['a primary, then silence', [answered({ sentAtMs: 1000 }), silent(1500), silent(2000)], 'primary'],
  ['a primary that is stopping', [answered({ sentAtMs: 1000, state: 'stopping' })], 'not-primary'],
  ['a server in recovery', [answered({ sentAtMs: 1000, ...replica })], 'not-primary'],
  [
    'a primary that its agent could not ask afterwards',
    [answered({ sentAtMs: 1000 }), answered({ sentAtMs: 1500, state: 'unknown' })],
    'primary',
  ],
  ['only an agent that could not ask', [answered({ sentAtMs: 1000, state: 'unknown' })], 'unknown'],
  [
    'a primary, then a replica',
    [answered({ sentAtMs: 1000 }), answered({ sentAtMs: 1500, ...replica })],
    'not-primary',
  ],
]
for (const [name, results, want] of verdicts) {
  test(`${name} is ${want}`, () => assert.equal(primaryVerdict(healthAfter(...results), 1000), want))
}

test('a refused connection takes the word of all older answers away, not of newer ones', () => {
  const health = judgeRefusal(healthAfter(answered({ sentAtMs: 1000 })), 1200, limits, 'told')
  assert.equal(primaryVerdict(health, 0), 'unknown')
  const asked = { ...health, answer: answer({ sentAtMs: 1201 }) }
  assert.equal(primaryVerdict(asked, 0), 'primary')
})

const reads: readonly (readonly [string, readonly ProbeResult[], boolean])[] = [
  ['a member that never answered', [], false],
  ['a running replica', [answered(replica)], true],
  ['a replica that missed one probe', [answered(replica), silent(500)], true],
  ['a replica that missed two', [answered(replica), silent(500), silent(1000)], false],
  ['a replica that came back', [answered(replica), silent(500), silent(1000), answered(replica)], true],
  ['a replica marked noloadbalance', [answered({ ...replica, tags: { noloadbalance: true } })], false],
  ['a replica whose server starts', [answered({ ...replica, state: 'starting' })], false],
  ['a primary', [answered()], false],
]
for (const [name, results, want] of reads) {
  test(`${name} ${want ? 'serves' : 'serves no'} reads`, () => {
    assert.equal(servesReads(healthAfter(...results), {}, 2000), want)
  })
}

test('noloadbalance in the member key counts as well', () => {
  assert.equal(servesReads(healthAfter(answered(replica)), { noloadbalance: true }, 2000), false)
})

test('silence takes no proof away before its deadline', () => {
  const health = healthAfter(answered({ sentAtMs: 0, leaseLeftMs: 5000 }), silent(500), silent(1000))
  assert.equal(health.leadsUntilMs, 5000)
  assert.equal(health.silence, 'nobody listens')
})

test('connections that are refused together keep reads away for as long as one of them', () => {
  let health = healthAfter(answered(replica))
  for (let count = 0; count < 10; count += 1) health = judgeRefusal(health, 1000 + count, limits, 'told')
  assert.equal(health.avoidUntilMs, 2000)
})

test('a replica whose port refuses takes no reads, longer with each refusal, until a connection succeeds', () => {
  const heard = (health: MemberHealth, sentAtMs: number) =>
    judge(health, answered({ ...replica, sentAtMs }), limits, timing)
  let health = healthAfter(answered(replica))
  const spans: number[] = []
  for (const atMs of [1000, 100_000, 200_000]) {
    health = heard(judgeRefusal(health, atMs, limits, 'told'), atMs + 100)
    spans.push(health.avoidUntilMs - atMs)
    assert.deepEqual(
      [servesReads(health, {}, atMs + 200), servesReads(health, {}, health.avoidUntilMs)],
      [false, true],
    )
  }
  assert.deepEqual(spans, [1000, 2000, 4000])
  assert.equal(judgeConnected(health).avoidUntilMs, Number.NEGATIVE_INFINITY)
  assert.equal(judgeRefusal(judgeConnected(health), 0, limits, 'told').avoidUntilMs, 1000)
})
