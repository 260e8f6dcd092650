// An agent that gets nothing out of its server says `unknown`: the server hangs, or does not let the agent in. It is asked
// itself then.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type Evidence, emptyTable, type Ping, route, wantsPing } from '../../../src/proxy/route.ts'
import { answered, evidenceOf, healthAfter, led, membersNamed, replica } from './facts.ts'

const members = membersNamed('pg1', 'pg2')
const unknown = { state: 'unknown' } as const
const leader = healthAfter(
  answered({ sentAtMs: 6 }),
  answered({ ...unknown, sentAtMs: 1000 }),
  answered({ ...unknown, sentAtMs: 1500 }),
)
const follower = healthAfter(
  answered({ ...replica }),
  answered({ ...replica, ...unknown, sentAtMs: 1000 }),
  answered({ ...replica, ...unknown, sentAtMs: 1500 }),
)

function evidence(nowMs: number, ping: Ping | undefined, changes: Partial<Evidence> = {}): Evidence {
  return evidenceOf({
    nowMs,
    needsPing: true,
    members,
    leadership: led('pg1', 1, { seenAtMs: 5 }),
    health: new Map([
      ['pg1', leader],
      ['pg2', follower],
    ]),
    pings: new Map(ping === undefined ? [] : [['pg1', ping]]),
    ...changes,
  })
}

// what it is about, now, the server's last answer to a ping, does the leader take new sessions
const rows: readonly (readonly [string, number, Ping, boolean])[] = [
  ['its last ping of before counts for a moment', 1100, { answer: 'accepting', sentAtMs: 6 }, true],
  ['but not for long', 2501, { answer: 'accepting', sentAtMs: 6 }, false],
  ['it answers a fresh ping', 9000, { answer: 'accepting', sentAtMs: 8000 }, true],
  ['it is silent', 1100, { answer: 'silent', sentAtMs: 1050 }, false],
  ['it refuses', 1100, { answer: 'rejecting', sentAtMs: 1050 }, false],
]
for (const [what, nowMs, ping, want] of rows) {
  test(`a leader whose agent gets nothing out of its server, ${what}: ${want ? 'takes' : 'takes no'} new sessions`, () => {
    const known = evidence(nowMs, ping)
    assert.equal(route(known).write?.takesNew, want)
    assert.deepEqual(wantsPing(known), ['pg1'])
  })
}

test('its sessions stay, whatever becomes of the pings', () => {
  const { write } = route(evidence(9000, { answer: 'silent', sentAtMs: 8500 }))
  assert.deepEqual([write?.untilMs, write?.takesNew], [30_000, false])
})

test('a word of the server through its agent ends the doubt', () => {
  const known = evidence(9000, { answer: 'accepting', sentAtMs: 6 })
  const back = healthAfter(answered({ ...unknown, sentAtMs: 1000 }), answered({ sentAtMs: 2000 }))
  assert.equal(back.unsureSinceMs, undefined)
  assert.equal(route({ ...known, health: new Map([['pg1', back]]) }).write?.takesNew, true)
})

test('a replica whose agent gets nothing out of it stays while it answers pings, and does not come in that way', () => {
  const previous = { ...emptyTable, reads: ['pg2'], pools: new Map([['read', ['pg2']]]) }
  const pings = new Map([['pg2', { answer: 'accepting', sentAtMs: 2000 } as const]])
  const reads = (changes: Partial<Evidence>) => route(evidence(2100, undefined, changes)).reads
  assert.deepEqual(reads({ previous, pings }), ['pg2'])
  assert.deepEqual(reads({ previous }), [])
  assert.deepEqual(reads({ pings }), [])
  assert.ok(wantsPing(evidence(2100, undefined, { previous })).includes('pg2'))
})
