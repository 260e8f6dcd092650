// Mistakes that agents of this kind have made before. Others of the list are in the tables of their own rules.

import test from 'node:test'
import { down, holding, ledByUs, peer, running, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const primary = running({ role: 'primary' })
const task = (kind: 'demote' | 'clone' | 'rewind', says: string) => ({ kind, startedAtMs: 990_000, says })
/** A server that is there and lets us not in. */
const refusing = { facts: undefined, trouble: 'refused the password', isTroubleMistake: true }

const rows: readonly Row[] = [
  {
    situation: 'a demotion is slow and the next turn sees the same reason for it: no second demotion',
    seen: { server: primary, task: task('demote', 'demoting (immediate)') },
    rule: 'task-runs',
    actions: [],
  },
  {
    situation:
      'etcd is lost in the middle of a demotion: the server comes back for its readers, not after etcd',
    seen: { view: undefined, server: down() },
    remembers: { role: 'demoted' },
    rule: 'etcd-is-silent',
    actions: ['start replica of nobody'],
  },
  {
    situation: 'a copy is being made and the server is down: recovery does not start on half a directory',
    seen: { server: down(), task: task('clone', "bootstrap from leader 'pg1'") },
    rule: 'task-runs',
    actions: [],
  },
  {
    situation: 'the former leader came back as a standby with a higher priority: it does not block the race',
    seen: { view: view({ leader: undefined }), peers: [peer('pg1', { failoverPriority: 9 })] },
    remembers: { lastLeader: 'pg1' },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'another standby has a higher priority and as much WAL: stay back, in the known words',
    seen: { view: view({ leader: undefined }), peers: [peer('pg3', { failoverPriority: 9 })] },
    rule: 'race-stay-back',
    actions: [],
    says: /^pg3 has equally tolerable WAL position and priority 9, while this node has priority 1$/,
  },
  {
    situation: 'a query timed out on a good primary that holds its lease: it is not demoted',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: { ...primary, facts: undefined, trouble: 'the query did not finish' },
    },
    rule: 'leader-without-facts',
    actions: [],
    needsOperator: false,
  },
  {
    situation:
      'a primary that holds its lease refuses our password: it is not demoted, and that is a warning',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: { ...primary, ...refusing },
    },
    rule: 'leader-without-facts',
    actions: [],
    needsOperator: true,
  },
  {
    situation: 'another leads, and our server refuses our password: waiting is told as a warning',
    seen: { server: { ...running(), ...refusing } },
    rule: 'wait-to-follow',
    actions: [],
    says: /my server does not answer \(refused the password\)/,
    needsOperator: true,
  },
  {
    situation: 'nobody leads, and our server refuses our password: a warning',
    seen: { server: { ...running(), ...refusing }, view: view({ leader: undefined }) },
    rule: 'race-without-facts',
    actions: [],
    needsOperator: true,
  },
  {
    situation: 'the same leader on a new timeline: histories are compared again',
    seen: { view: view({ epoch: 120n, timelines: { pg1: 2 } }) },
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))
