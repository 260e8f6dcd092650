import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { type MemberHealth, unknownHealth } from '../../../src/health/verdict.ts'
import type { Leadership } from '../../../src/proxy/leadership.ts'
import { unknownLeadership } from '../../../src/proxy/leadership.ts'
import { type Evidence, emptyTable, route } from '../../../src/proxy/route.ts'
import { answered, evidenceOf, healthAfter, led, membersNamed, replica, silent } from './facts.ts'

const members = membersNamed('pg1', 'pg2', 'pg3')

function evidence(
  nowMs: number,
  leadership: Leadership,
  health: Readonly<Record<string, MemberHealth>>,
): Evidence {
  return evidenceOf({ nowMs, leadership, members, health: new Map(Object.entries(health)) })
}

const primary = healthAfter(answered({ sentAtMs: 0 }))
const noProof = Number.NEGATIVE_INFINITY

// name, time, leadership, health of pg1, [untilMs, takesNew] or nothing
const rows: readonly (readonly [
  string,
  number,
  Leadership,
  MemberHealth,
  readonly [number, boolean] | undefined,
])[] = [
  ['nothing known at the start', 0, unknownLeadership, primary, undefined],
  ['a leader that answers', 10, led('pg1', 1), primary, [30_000, true]],
  ['a leader that was never heard', 10, led('pg1', 1), unknownHealth, [30_000, false]],
  ['a leader still in recovery', 10, led('pg1', 1), healthAfter(answered(replica)), [30_000, false]],
  [
    'a leader confirmed in an earlier term only',
    10,
    led('pg1', 1, { seenAtMs: 5 }),
    primary,
    [30_000, false],
  ],
  [
    'a leader whose REST server fell silent, its lease fresh',
    2000,
    led('pg1', 1),
    healthAfter(answered(), silent(500), silent(1000), silent(1500)),
    [30_000, true],
  ],
  [
    'an expired lease, its own answer still good',
    31_000,
    led('pg1', 1),
    healthAfter(answered({ sentAtMs: 30_500, leaseLeftMs: 2000 })),
    [32_500, true],
  ],
  ['an expired lease, the answer expired too', 31_000, led('pg1', 1), primary, undefined],
  ['the very instant of the last deadline', 30_000, led('pg1', 1), primary, undefined],
  [
    'a deleted key, the old leader still answering',
    100,
    led('pg1', 1, { hasKey: false, leaseUntilMs: noProof }),
    primary,
    [1000, false],
  ],
  [
    'a deleted key, the old leader silent past its proof',
    1000,
    led('pg1', 1, { hasKey: false, leaseUntilMs: noProof }),
    primary,
    undefined,
  ],
  ['a leader without a member key', 10, led('pg9', 1), primary, undefined],
  [
    'a demoted server under a fresh key',
    600,
    led('pg1', 1),
    healthAfter(answered(), answered({ sentAtMs: 500, state: 'stopping', statusCode: 503 })),
    [30_000, false],
  ],
]
for (const [name, nowMs, leadership, health, want] of rows) {
  test(`${name}: ${want === undefined ? 'no write route' : `until ${want[0]}, new ${want[1]}`}`, () => {
    const { write } = route(evidence(nowMs, leadership, { pg1: health }))
    assert.deepEqual(write === undefined ? undefined : [write.untilMs, write.takesNew], want)
  })
}

test('reads go to running replicas by name, never to the leader', () => {
  const health = { pg1: primary, pg2: healthAfter(answered(replica)), pg3: healthAfter(answered(replica)) }
  assert.deepEqual(route(evidence(10, led('pg1', 1), health)).reads, ['pg2', 'pg3'])
  assert.deepEqual(route(evidence(10, led('pg3', 1), health)).reads, ['pg2'])
})

test('reads go on without any leader', () => {
  const health = { pg2: healthAfter(answered(replica)) }
  assert.deepEqual(route(evidence(10, unknownLeadership, health)).reads, ['pg2'])
})

test('without evidence nothing is routed', () => {
  assert.deepEqual(route(evidence(0, unknownLeadership, {})), {
    ...emptyTable,
    pools: new Map([['read', []]]),
    rests: new Map([['read', []]]),
  })
})

const anyAnswer = fc.record({
  sentAtMs: fc.integer({ min: 0, max: 5000 }),
  statusCode: fc.constantFrom(200, 503),
  role: fc.constantFrom('primary', 'replica', 'demoted'),
  state: fc.constantFrom('running', 'starting', 'stopped', 'unknown'),
  leaseLeftMs: fc.option(fc.integer({ min: -10, max: 3000 }), { nil: undefined }),
})
const anyHealth = fc.array(anyAnswer, { maxLength: 4 }).map(list => healthAfter(...list.map(answered)))

test('whatever the evidence, a write route is the named leader, unexpired and confirmed by its server', () => {
  fc.assert(
    fc.property(
      fc.record({
        nowMs: fc.integer({ min: 0, max: 6000 }),
        hasKey: fc.boolean(),
        leaseUntilMs: fc.oneof(fc.integer({ min: 0, max: 8000 }), fc.constant(noProof)),
        seenAtMs: fc.integer({ min: 0, max: 5000 }),
        pg1: anyHealth,
        pg2: anyHealth,
        pg3: anyHealth,
      }),
      ({ nowMs, hasKey, leaseUntilMs, seenAtMs, ...health }) => {
        const leadership = led('pg2', 4, { hasKey, leaseUntilMs, seenAtMs })
        const { write, reads } = route(evidence(nowMs, leadership, health))
        if (hasKey) assert.ok(!reads.includes('pg2'))
        if (write === undefined) return
        assert.equal(write.epoch.member, 'pg2')
        assert.ok(write.untilMs > nowMs)
        const { answer, leadsUntilMs } = health.pg2
        assert.ok((hasKey && leaseUntilMs > nowMs) || leadsUntilMs > nowMs)
        if (!write.takesNew) return
        assert.ok(hasKey)
        assert.deepEqual([answer?.role, answer?.state], ['primary', 'running'])
        assert.ok((answer?.sentAtMs ?? 0) >= seenAtMs)
      },
    ),
    { numRuns: 2000 },
  )
})
