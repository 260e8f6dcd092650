// A switchover or failover that the leader is asked for: when it is due, and while its server is starting. The scene's wall
// clock says 04:00:00, loop_wait is 10 s.

import test from 'node:test'
import type { Snapshot } from '../../../src/agent/snapshot.ts'
import { config, down, holding, ledByUs, peer, streamedBy } from './scene.ts'
import { follows, type Row } from './table.ts'

const at = (time: string) => `{"leader":"pg2","member":"pg3","scheduled_at":"2026-11-24T${time}+00:00"}`
const led = (failover: string): Partial<Snapshot> => ({
  view: ledByUs({ failover }),
  server: streamedBy('pg1', 'pg3'),
  lease: holding,
})
const starting = (failover: string): Partial<Snapshot> => ({
  ...led(failover),
  server: down({ process: 'starting' }),
  task: { kind: 'start', startedAtMs: 0, says: 'starting as primary' },
})

const due: readonly Row[] = [
  {
    situation: 'the time of a scheduled switchover has come: from now on it is one like any other',
    seen: led(at('04:00:00')),
    rule: 'request-due',
    actions: ['begin-request to pg3'],
  },
  {
    situation: 'it is one like any other by now and the candidate is able: hand over',
    seen: { ...led('{"leader":"pg2","member":"pg3"}'), peers: [peer('pg3')] },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'a scheduled switchover is due before the next turn: look again at that very moment',
    seen: led(at('04:00:07')),
    rule: 'no-action-leader',
    actions: [],
    againInMs: 7_000,
  },
  {
    situation: 'a scheduled switchover is late by less than 1.5 x loop_wait: it is carried out',
    seen: led(at('03:59:46')),
    rule: 'request-due',
    actions: ['begin-request to pg3'],
  },
  {
    situation: 'a scheduled switchover is later than that: it is cleared',
    seen: led(at('03:59:44')),
    rule: 'request-refused',
    actions: ['clear-request'],
    says: /^cleaning up failover key: its time has passed$/,
  },
  {
    situation: 'the time of a scheduled switchover cannot be read: it is cleared',
    seen: led('{"leader":"pg2","member":"pg3","scheduled_at":"at noon"}'),
    rule: 'request-refused',
    actions: ['clear-request'],
    says: /^cleaning up failover key: no time is read from "at noon"$/,
  },
  {
    situation: 'a switchover is scheduled for a day that no calendar has: it is cleared',
    seen: led('{"leader":"pg2","member":"pg3","scheduled_at":"2027-02-30T04:00:00+00:00"}'),
    rule: 'request-refused',
    actions: ['clear-request'],
    says: /^cleaning up failover key: no time is read from "2027-02-30T04:00:00\+00:00"$/,
  },
]

const whileStarting: readonly Row[] = [
  {
    situation: 'the leader’s server is starting and a failover is asked for: the candidates are asked',
    seen: starting('{"member":"pg3"}'),
    rule: 'ask-heirs',
    actions: ['ask-peers'],
    says: /a failover is asked for while my server is starting/,
  },
  {
    situation: 'the leader’s server is starting and the candidate is able: end the start and give way',
    seen: { ...starting('{"member":"pg3"}'), peers: [peer('pg3')] },
    rule: 'give-way',
    actions: ['cancel-task', 'demote immediate release'],
  },
  {
    situation:
      'the leader’s server is starting without a task of ours and a switchover is asked for: give way',
    seen: { ...starting('{"leader":"pg2"}'), task: undefined, peers: [peer('pg1')] },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'the leader’s server is starting and the named candidate does not answer: clear the request',
    seen: { ...starting('{"member":"pg3"}'), peers: [peer('pg3', { isReachable: false })] },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation:
      'the leader’s server is starting and the candidate has not all that the leader wrote: clear it',
    seen: {
      ...starting('{"member":"pg3"}'),
      view: ledByUs({ failover: '{"member":"pg3"}', status: '{"optime":90000000}' }),
      peers: [peer('pg3')],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'the leader’s server is starting and the switchover names another leader: clear it',
    seen: starting('{"leader":"pg9","member":"pg3"}'),
    rule: 'request-refused',
    actions: ['clear-request'],
    says: /pg9 is not the leader$/,
  },
  {
    situation: 'the leader’s server is starting and the time of a switchover has come: it begins',
    seen: starting(at('04:00:00')),
    rule: 'request-due',
    actions: ['begin-request to pg3'],
  },
  {
    situation: 'the leader’s server is starting and a switchover is for later: it goes on starting',
    seen: starting(at('05:00:00')),
    rule: 'task-runs',
    actions: [],
  },
  {
    situation: 'paused, the leader’s server is starting and a failover is asked for: it goes on starting',
    seen: { ...starting('{"member":"pg3"}'), config: config({ pause: true }), peers: [peer('pg3')] },
    rule: 'task-runs',
    actions: [],
  },
]

for (const row of [...due, ...whileStarting]) test(row.situation, () => follows(row))
