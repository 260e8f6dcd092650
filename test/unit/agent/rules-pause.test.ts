import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import {
  config,
  down,
  holding,
  ledByUs,
  peer,
  running,
  settled,
  snapshot,
  streamedBy,
  view,
} from './scene.ts'
import { follows, type Row } from './table.ts'

const paused = config({ pause: true })
const primary = running({ role: 'primary' })
const noLeader = view({ leader: undefined })

const silent = down({ dataDirectory: 'unknown', trouble: 'no answer from /data' })
const toAnother = {
  config: paused,
  view: ledByUs({ failover: '{"member":"pg3"}' }),
  server: silent,
  lease: holding,
}

const rows: readonly Row[] = [
  {
    situation:
      'paused: the storage of a leader that is ours to start does not answer: it keeps its key and waits',
    seen: { config: paused, view: ledByUs(), server: silent, lease: holding },
    remembers: { isOursToStart: true, role: 'primary' },
    rule: 'data-directory-silent',
    actions: [],
    says: /^PAUSE: waiting: no answer from/,
  },
  {
    situation: 'paused: the storage of a standby that is ours to start does not answer: it waits',
    seen: { config: paused, server: silent },
    remembers: { isOursToStart: true },
    rule: 'data-directory-silent',
    actions: [],
  },
  {
    situation:
      'paused: the storage of a leader does not answer, and somebody else is named: the key is given away',
    seen: toAnother,
    remembers: { isOursToStart: true, role: 'primary' },
    rule: 'paused-server-down',
    actions: ['release-leader'],
  },
  {
    situation: 'paused: a leader that the operator stopped gives its key away, whatever its storage says',
    seen: { config: paused, view: ledByUs(), server: silent, lease: holding },
    remembers: { isOursToStart: false, role: 'primary' },
    rule: 'paused-server-down',
    actions: ['release-leader'],
  },
  {
    situation: 'paused: a standby that streams is left alone',
    seen: { config: paused },
    rule: 'no-action-replica',
    actions: [],
    says: /^PAUSE: no action\. I am \(pg2\), a secondary/,
  },
  {
    situation: 'paused: the leader carries on',
    seen: { config: paused, view: ledByUs(), server: primary, lease: holding },
    rule: 'no-action-leader',
    actions: [],
    says: /^PAUSE: no action\. I am \(pg2\), the leader with the lock$/,
  },
  {
    situation: 'paused: nobody leads and a primary of an older timeline is back: it leaves the key',
    seen: {
      config: paused,
      view: view({ leader: undefined, history: '[[1,900,"x"],[2,1900,"x"]]' }),
      server: running({ role: 'primary', timeline: 2 }),
    },
    rule: 'paused-overtaken',
    actions: [],
    says: /my timeline 2 is behind the cluster's timeline 3: I leave the leader key/,
  },
  {
    situation: 'paused: etcd was wiped: the primary names its cluster again',
    seen: { config: paused, view: view({ leader: undefined, initialize: undefined }), server: primary },
    rule: 'register-system-id',
    actions: ['register-system-id'],
    says: /^PAUSE: writing the cluster's system identifier/,
  },
  {
    situation: 'paused: etcd was wiped: a standby names nothing, however long nobody leads',
    seen: {
      config: paused,
      view: view({ leader: undefined, initialize: undefined }),
      leaderlessMs: 300_000,
    },
    rule: 'paused-no-leader',
    actions: [],
  },
  {
    situation: 'paused: etcd is silent and a primary holds no lease any more: it stays a primary',
    seen: { config: paused, view: undefined, server: primary },
    rule: 'paused-without-etcd',
    actions: [],
  },
  {
    situation: 'paused: another member has the key and our server is a primary: it stays one',
    seen: { config: paused, server: primary },
    rule: 'paused-without-lock',
    actions: [],
    says: /continue to run as primary without lock/,
  },
  {
    situation: 'paused: our name is in the key but it is not ours any more: the primary stays one',
    seen: { config: paused, view: view({ leader: 'pg2' }), server: primary },
    rule: 'paused-without-lock',
    actions: [],
  },
  {
    situation: 'paused: the server is down: it stays so',
    seen: { config: paused, server: down() },
    rule: 'paused-server-down',
    actions: [],
  },
  {
    situation: 'paused: the leader’s server is down: the key is given up, nothing is started',
    seen: { config: paused, view: ledByUs(), lease: holding, server: down() },
    remembers: { role: 'primary' },
    rule: 'paused-server-down',
    actions: ['release-leader'],
  },
  {
    situation: 'paused: the leader’s server is a standby (somebody restarted it so): the key is given up',
    seen: { config: paused, view: ledByUs(), lease: holding },
    rule: 'paused-not-primary',
    actions: ['release-leader'],
  },
  {
    situation: 'paused: an empty directory is not filled',
    seen: { config: paused, server: down({ dataDirectory: 'empty' }), systemId: undefined },
    rule: 'paused-server-down',
    actions: [],
  },
  {
    situation: 'paused: nobody leads, and a standby does not run for it',
    seen: { config: paused, view: noLeader },
    rule: 'paused-no-leader',
    actions: [],
  },
  {
    situation: 'paused: nobody leads and we run as primary: take the key again',
    seen: { config: paused, view: noLeader, server: primary },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'paused: the operator names us and nobody leads: run for it',
    seen: { config: paused, view: view({ leader: undefined, failover: '{"member":"pg2"}' }), peers: [] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'paused: named by the operator and the key is ours: promote',
    seen: { config: paused, view: ledByUs(), lease: holding },
    remembers: { isNamedInPause: true },
    rule: 'promote',
    actions: ['promote'],
  },
  {
    situation: 'paused: a switchover that names a candidate is carried out',
    seen: {
      config: paused,
      view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }),
      server: streamedBy('pg1', 'pg3'),
      lease: holding,
      peers: [peer('pg3')],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'paused: a switchover that names nobody is refused',
    seen: {
      config: paused,
      view: ledByUs({ failover: '{"leader":"pg2"}' }),
      server: streamedBy('pg1', 'pg3'),
      lease: holding,
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'paused: a scheduled switchover whose time has come waits until the pause is over',
    seen: {
      config: paused,
      view: ledByUs({
        failover: '{"leader":"pg2","member":"pg3","scheduled_at":"2026-11-24T03:59:59+00:00"}',
      }),
      server: streamedBy('pg1', 'pg3'),
      lease: holding,
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'paused: a server that we stopped for a switchover comes back as a standby',
    seen: { config: paused, server: down() },
    remembers: { isOursToStart: true },
    rule: 'start-following',
    actions: ['start replica of pg1'],
  },
  {
    situation: 'paused: the fresh copy that was ordered failed: it is copied again',
    seen: { config: paused, server: down({ dataDirectory: 'empty' }) },
    remembers: { isToBeCopied: true },
    rule: 'clone',
    actions: ['clone pg1'],
  },
  {
    situation:
      'paused: the fresh copy that was ordered failed, and there is no leader any more: nothing is founded',
    seen: {
      config: paused,
      view: view({ leader: undefined, initialize: undefined }),
      server: down({ dataDirectory: 'empty' }),
    },
    remembers: { isToBeCopied: true },
    rule: 'paused-server-down',
    actions: [],
  },
  {
    situation: 'paused: data that an operator has removed is not copied again',
    seen: { config: paused, server: down({ dataDirectory: 'empty' }) },
    rule: 'paused-server-down',
    actions: [],
  },
  {
    situation: 'paused: a standby whose history parts from the leader’s is not rewound',
    seen: {
      config: paused,
      view: view({ timelines: { pg1: 2 } }),
      divergence: { kind: 'diverged', at: 900n, localEnd: 1000n },
    },
    remembers: { cleanAgainst: 90n },
    rule: 'paused-diverged',
    actions: [],
  },
  {
    situation: 'paused: the data belongs to another cluster: nothing ends, a key that is held is given up',
    seen: {
      config: paused,
      view: ledByUs(),
      lease: holding,
      server: primary,
      systemId: '7300000000000000002',
    },
    rule: 'paused-another-cluster',
    actions: ['release-leader'],
  },
  {
    situation: 'the pause is over: a primary beside another leader stops',
    seen: { server: primary },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'the pause is over: a standby that does not stream is compared with its leader once more',
    seen: { server: running({ replicationState: undefined }) },
    remembers: { wasPaused: true },
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
  {
    situation:
      'the pause is over: a server that is down is compared with its leader once more before its start',
    seen: { server: down() },
    remembers: { wasPaused: true },
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
  {
    situation:
      'the pause is over: a rewind that had failed before is tried once more, somebody may have mended it',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n } },
    remembers: { wasPaused: true, rewindFailedAgainst: 100n },
    rule: 'rewind',
    actions: ['rewind pg1'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))

test('what a server was compared with is forgotten at the end of a pause, once, and not before', () => {
  const during = decide(snapshot({ config: paused }), settled)
  assert.deepEqual([during.memory.cleanAgainst, during.memory.wasPaused], [100n, true])
  const stopped = snapshot({ server: down(), divergence: { kind: 'none' } })
  const afterwards = decide(stopped, { ...during.memory, cleanAgainst: 90n })
  assert.deepEqual([afterwards.memory.cleanAgainst, afterwards.memory.wasPaused], [100n, false])
  assert.equal(decide(snapshot({ server: down() }), afterwards.memory).rule, 'start-following')
})

const ordered = { isOursToStart: true, isToBeCopied: true, role: 'replica' } as const

for (const [what, server] of [
  ['a standby that an operator stops', down()],
  ['a directory that an operator empties', down({ dataDirectory: 'empty' })],
] as const)
  test(`paused: ${what} long after an order stays as it is`, () => {
    const up = decide(snapshot({ config: paused }), { ...settled, ...ordered })
    assert.deepEqual([up.memory.isOursToStart, up.memory.isToBeCopied], [false, false])
    assert.equal(decide(snapshot({ config: paused, server }), up.memory).rule, 'paused-server-down')
  })

test('what an order began is not forgotten while it is at work, nor while the server tells nothing', () => {
  const task = { kind: 'reinitialize', says: 'reinitialize', startedAtMs: 0 } as const
  const starting = { ...running(), process: 'starting', facts: undefined, isAnswering: false } as const
  for (const seen of [{ task }, { server: starting }]) {
    const { memory } = decide(snapshot({ config: paused, ...seen }), { ...settled, ...ordered })
    assert.deepEqual([memory.isOursToStart, memory.isToBeCopied], [true, true])
  }
})

test('outside of a pause a server that is up ends what was ordered, too', () => {
  const { memory } = decide(snapshot(), { ...settled, ...ordered })
  assert.deepEqual([memory.isOursToStart, memory.isToBeCopied], [false, false])
})
