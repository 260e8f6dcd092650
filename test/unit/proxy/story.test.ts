import assert from 'node:assert/strict'
import test from 'node:test'
import type { MemberHealth } from '../../../src/health/verdict.ts'
import { type Leadership, unknownLeadership } from '../../../src/proxy/leadership.ts'
import { type StoryFacts, tellStory } from '../../../src/proxy/story.ts'
import { answered, evidenceOf, healthAfter, led, membersNamed, replica, silent } from './facts.ts'

const members = membersNamed('pg1', 'pg2')
const facts: StoryFacts = {
  scope: 'pgsql',
  sinceMs: 7_900,
  startedAtMs: 0,
  lastLeader: { member: 'pg1', ending: 'lease-ended' },
  storeSilentMs: undefined,
}
const keyless = led('pg1', 1, { hasKey: false })
const promoting = healthAfter(answered(replica))

const rows: readonly (readonly [string, Partial<StoryFacts>, Leadership, MemberHealth | undefined])[] = [
  ["for 2.1 s: pg1's lease ended; pg2 is promoting", {}, led('pg2', 2), promoting],
  ["for 2.1 s: pg1's lease ended; nobody has taken the leader key yet", {}, keyless, undefined],
  [
    'for 2.1 s: pg1 gave the leader key up; pg2 holds the leader key, its server has not answered yet',
    { lastLeader: { member: 'pg1', ending: 'gave-up' } },
    led('pg2', 2),
    undefined,
  ],
  [
    "for 2.1 s: pg1's lease ended; pg2 holds the leader key, its server has not answered yet (nobody listens)",
    {},
    led('pg2', 2),
    healthAfter(silent(0)),
  ],
  [
    "for 2.1 s: pg1's lease ended; pg2 holds the leader key, its server is starting",
    {},
    led('pg2', 2),
    healthAfter(answered({ state: 'starting' })),
  ],
  [
    'for 2.1 s: nothing proves any more that pg1 leads; pg2 does not answer (nobody listens)',
    { lastLeader: { member: 'pg1', ending: 'silent' } },
    led('pg2', 2),
    healthAfter(answered(), silent(500)),
  ],
  [
    'for 10.0 s: nothing is known about it yet; etcd has not answered for 9.5 s',
    { sinceMs: undefined, lastLeader: undefined, storeSilentMs: 9_500 },
    unknownLeadership,
    undefined,
  ],
  [
    'for 2.1 s: nothing proves any more that pg1 leads; pg9 holds the leader key but has no member key',
    { lastLeader: { member: 'pg1', ending: 'silent' } },
    led('pg9', 2),
    undefined,
  ],
]
for (const [want, changes, leadership, pg2] of rows) {
  test(`no leader ${want}`, () => {
    const health = new Map(pg2 === undefined ? [] : [['pg2', pg2]])
    const evidence = evidenceOf({ nowMs: 10_000, leadership, members, health })
    assert.equal(tellStory({ ...facts, ...changes }, evidence), `cluster pgsql has no leader ${want}`)
  })
}
