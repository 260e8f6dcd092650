import assert from 'node:assert/strict'
import test from 'node:test'
import { findCandidates } from '../../../src/api/candidates.ts'
import { readOrder } from '../../../src/api/order.ts'
import type { JsonObject } from '../../../src/cluster/json.ts'
import { threeMembers, viewOf } from '../../support/agent-status.ts'

const now = Date.parse('2026-11-24T12:00:00Z')

const accepted: readonly (readonly ['switchover' | 'failover', JsonObject, unknown])[] = [
  [
    'switchover',
    { leader: 'a' },
    { action: 'switchover', request: { leader: 'a', candidate: undefined, scheduledAt: undefined } },
  ],
  [
    'switchover',
    { leader: 'a', candidate: 'b' },
    { action: 'switchover', request: { leader: 'a', candidate: 'b', scheduledAt: undefined } },
  ],
  [
    'switchover',
    { leader: 'a', member: 'b' },
    { action: 'switchover', request: { leader: 'a', candidate: 'b', scheduledAt: undefined } },
  ],
  [
    'failover',
    { candidate: 'b' },
    { action: 'failover', request: { leader: undefined, candidate: 'b', scheduledAt: undefined } },
  ],
  [
    'failover',
    { leader: 'a', candidate: 'b' },
    { action: 'switchover', request: { leader: 'a', candidate: 'b', scheduledAt: undefined } },
  ],
  [
    'switchover',
    { leader: 'a', scheduled_at: '2026-11-24T13:00:00+01:00' },
    {
      action: 'switchover',
      request: { leader: 'a', candidate: undefined, scheduledAt: '2026-11-24T13:00:00+01:00' },
    },
  ],
  [
    'switchover',
    { leader: 'a', scheduled_at: 'Tue, 01 Jan 2030 10:00:00 GMT' },
    {
      action: 'switchover',
      request: { leader: 'a', candidate: undefined, scheduledAt: '2030-01-01T10:00:00+00:00' },
    },
  ],
]
for (const [endpoint, body, order] of accepted) {
  test(`POST /${endpoint} ${JSON.stringify(body)} is accepted`, () => {
    assert.deepEqual(readOrder(endpoint, body, false, now), { order })
  })
}

const refused: readonly (readonly ['switchover' | 'failover', JsonObject, boolean, number, RegExp])[] = [
  ['switchover', { candidate: 'b' }, false, 400, /only from a specific leader/],
  ['switchover', { leader: 'a', candidate: 'a' }, false, 400, /target and source are the same/],
  ['switchover', { leader: 'a' }, true, 400, /only to a specific candidate in a paused state/],
  [
    'switchover',
    { leader: 'a', candidate: 'b', scheduled_at: '2030-01-01T00:00Z' },
    true,
    400,
    /^Can't schedule switchover in the paused state$/,
  ],
  ['switchover', { leader: 'a', scheduled_at: '2026-11-24T11:59:59Z' }, false, 422, /in the past/],
  [
    'switchover',
    { leader: 'a', scheduled_at: '2030-01-01T10:00' },
    false,
    400,
    /Timezone information is mandatory/,
  ],
  ['switchover', { leader: 'a', scheduled_at: '23:30' }, false, 400, /Timezone information is mandatory/],
  ['switchover', { leader: 'a', scheduled_at: 'tomorrow' }, false, 422, /Unable to parse/],
  ['failover', {}, false, 400, /^Failover could be performed only to a specific candidate$/],
  ['failover', { leader: 'a' }, false, 400, /^Failover could be performed only to a specific candidate$/],
  ['failover', { leader: 'a' }, true, 400, /^Failover could be performed only to a specific candidate$/],
  ['failover', { candidate: 'b', scheduled_at: '2030-01-01T10:00Z' }, false, 400, /can't be scheduled/],
]
for (const [endpoint, body, isPaused, code, says] of refused) {
  test(`POST /${endpoint} ${JSON.stringify(body)}${isPaused ? ' while paused' : ''} is ${code}`, () => {
    const result = readOrder(endpoint, body, isPaused, now)
    assert.ok('refusal' in result)
    assert.equal(result.refusal.code, code)
    assert.match(result.refusal.body?.text ?? '', says)
  })
}

const sync = { sync: '{"leader":"pg1","sync_standby":"pg2"}' }
const alone = { 'members/pg2': undefined, 'members/pg3': undefined }
type Changes = Readonly<Record<string, string | undefined>>

function candidates(
  changes: Changes,
  action: 'switchover' | 'failover',
  leader?: string,
  candidate?: string,
): unknown {
  const keys = Object.entries({ ...threeMembers, ...changes }).filter(([, value]) => value !== undefined)
  const order = { action, request: { leader, candidate, scheduledAt: undefined } }
  const found = findCandidates(viewOf(Object.fromEntries(keys) as Record<string, string>), order)
  return 'refusal' in found ? found.refusal : [...found.urls.keys()]
}

const rows: readonly (readonly [string, unknown, unknown])[] = [
  ['all but the leader', candidates({}, 'switchover', 'pg1'), ['pg2', 'pg3']],
  ['the named one', candidates({}, 'switchover', 'pg1', 'pg3'), ['pg3']],
  ['nobody for the wrong leader', candidates({}, 'switchover', 'pg2'), 'leader name does not match'],
  [
    'nobody for an unknown candidate',
    candidates({}, 'switchover', 'pg1', 'pg9'),
    'candidate does not exists',
  ],
  [
    'nobody for a lonely leader',
    candidates(alone, 'switchover', 'pg1'),
    'switchover is not possible: cluster does not have members except leader',
  ],
  ['only synchronous standbys in synchronous mode', candidates(sync, 'switchover', 'pg1'), ['pg2']],
  [
    'nobody else in synchronous mode',
    candidates(sync, 'switchover', 'pg1', 'pg3'),
    'candidate name does not match with sync_standby',
  ],
  ['an asynchronous one when a failover names it', candidates(sync, 'failover', undefined, 'pg3'), ['pg3']],
  [
    'nobody without a synchronous standby',
    candidates({ sync: '{"leader":"pg1","sync_standby":null}' }, 'switchover', 'pg1'),
    'switchover is not possible: can not find sync_standby',
  ],
]
for (const [what, found, want] of rows) {
  test(`asked are ${what}`, () => assert.deepEqual(found, want))
}
