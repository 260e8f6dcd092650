// Whom a standby follows by its tags: the member that it names, the leader, or nobody but an archive.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import type { Memory, SilentNamed, Snapshot } from '../../../src/agent/snapshot.ts'
import type { ClusterView } from '../../../src/cluster/view.ts'
import {
  down,
  holding,
  ledByUs,
  peer,
  running,
  settled,
  snapshot,
  streamedBy,
  type ViewSpec,
  view,
} from './scene.ts'
import { describe, follows, type Row } from './table.ts'

const NOW_MS = 1_000_000
const self = { ...snapshot().self, tags: { replicatefrom: 'pg3' } }
const streams = { replicationStates: { pg3: 'streaming' } }

/** pg1 leads, pg3 streams from it unless the row says otherwise. */
const cluster = (spec: ViewSpec = {}): ClusterView => view({ ...streams, ...spec })
/** It follows pg3 now. */
const following = { isFollowingLeader: false, isFollowingNamed: true }
const silent = (changes: Partial<SilentNamed> = {}): SilentNamed => ({
  leaseId: 5n,
  sinceMs: NOW_MS - 9_999,
  givenUpAtMs: undefined,
  ...changes,
})
const seen = (changes: Partial<Snapshot> = {}): Partial<Snapshot> => ({
  nowMs: NOW_MS,
  self,
  view: cluster(),
  ...changes,
})
const handOver = { failover: '{"leader":"pg2","member":"pg3"}' }
const deaf = running({ replicationState: undefined })

const rows: readonly Row[] = [
  {
    situation: 'the named member streams: it is followed',
    seen: seen(),
    rule: 'follow-named',
    actions: ['follow pg3'],
  },
  {
    situation: 'it is followed and streams: nothing to do',
    seen: seen(following),
    rule: 'no-action-replica',
    actions: [],
    says: /a secondary, and following a leader \(pg1\) through \(pg3\)$/,
  },
  ...(
    [
      ['is not there', { members: ['pg1', 'pg2'] }],
      ['does not run', { states: { pg3: 'starting' } }],
      ['streams from nobody', { replicationStates: { pg3: 'in archive recovery' } }],
      ['is ours and tells nothing', { replicationStates: {}, ours: ['pg3'] }],
      ['is on another timeline than the leader', { timelines: { pg1: 2 } }],
      ['follows us in turn', { tags: { pg3: { replicatefrom: 'pg2' } } }],
    ] as const
  ).map(
    ([why, spec]): Row => ({
      situation: `the named member ${why}: the leader is followed`,
      seen: seen({ ...following, view: cluster(spec) }),
      rule: 'follow',
      actions: ['follow pg1'],
    }),
  ),
  {
    situation: 'the named member leads: it is followed as the leader',
    seen: seen({ self: { ...self, tags: { replicatefrom: 'pg1' } } }),
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'a Patroni member that does not tell whether it streams is followed',
    seen: seen({ view: cluster({ replicationStates: {} }) }),
    rule: 'follow-named',
    actions: ['follow pg3'],
  },
  {
    situation: 'a member between may follow the archive alone',
    seen: seen({
      view: cluster({ replicationStates: {}, ours: ['pg3'], tags: { pg3: { nostream: true } } }),
    }),
    rule: 'follow-named',
    actions: ['follow pg3'],
  },
  {
    situation: 'nothing has come from it for less than a turn: it is waited for',
    seen: seen({ ...following, server: deaf }),
    remembers: { silentNamed: silent() },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'nothing has come for a turn: the leader is followed',
    seen: seen({ ...following, server: deaf }),
    remembers: { silentNamed: silent({ sinceMs: NOW_MS - 10_000 }) },
    rule: 'follow',
    actions: ['follow pg1'],
  },
  {
    situation: 'it was given up a moment ago: the leader stays',
    seen: seen(),
    remembers: { silentNamed: silent({ givenUpAtMs: NOW_MS - 59_999 }) },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'its agent has another lease since: it is followed again',
    seen: seen(),
    remembers: { silentNamed: silent({ givenUpAtMs: NOW_MS - 1, leaseId: 4n }) },
    rule: 'follow-named',
    actions: ['follow pg3'],
  },
  {
    situation: 'it was given up a minute ago: it is tried again',
    seen: seen(),
    remembers: { silentNamed: silent({ givenUpAtMs: NOW_MS - 60_000 }) },
    rule: 'follow-named',
    actions: ['follow pg3'],
  },
  {
    situation: 'nostream: it streams from nobody',
    seen: seen({ self: { ...self, tags: { nostream: true } } }),
    rule: 'follow-archive',
    actions: ['stop-receiving'],
  },
  {
    situation: 'nostream and streaming from nobody: nothing to do, and no WAL is missed',
    seen: seen({
      self: { ...self, tags: { nostream: true } },
      isFollowingLeader: false,
      isFollowingNobody: true,
      server: deaf,
    }),
    rule: 'no-action-replica',
    actions: [],
    says: /following a leader \(pg1\) by the archive$/,
  },
  {
    situation: 'it is down and clean: it starts as a standby of the named member',
    seen: seen({ server: down() }),
    rule: 'start-following',
    actions: ['start replica of pg3'],
  },
  {
    situation: 'nostream and down: it starts with nobody to stream from',
    seen: seen({ server: down(), self: { ...self, tags: { nostream: true } } }),
    rule: 'start-following',
    actions: ['start replica of nobody'],
  },
  {
    situation: 'it is starting and pointed elsewhere: it is pointed to the named member',
    seen: seen({ server: down({ process: 'starting' }) }),
    rule: 'follow-while-starting',
    actions: ['follow pg3'],
  },
  {
    situation: 'a new leader is compared with before anybody is followed',
    seen: seen({ ...following, view: cluster({ epoch: 101n }) }),
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
  {
    situation: 'a cascading member that streams through one of ours may take over: it gets everything',
    seen: {
      view: ledByUs({ ...handOver, tags: { pg3: { replicatefrom: 'pg1' } } }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg3', { isStreaming: true })],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'one that is two hops away may, too',
    seen: {
      view: ledByUs({
        ...handOver,
        members: ['pg1', 'pg2', 'pg3', 'pg4'],
        tags: { pg3: { replicatefrom: 'pg4' }, pg4: { replicatefrom: 'pg1' } },
      }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg3', { isStreaming: true })],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'one whose tags lead round in a circle may not',
    seen: {
      view: ledByUs({
        ...handOver,
        members: ['pg1', 'pg2', 'pg3', 'pg4'],
        tags: { pg3: { replicatefrom: 'pg4' }, pg4: { replicatefrom: 'pg3' } },
      }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg3', { isStreaming: true })],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'one that streams from nobody may not',
    seen: {
      view: ledByUs({ ...handOver, tags: { pg3: { replicatefrom: 'pg1' } } }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg3')],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
]
for (const row of rows) test(row.situation, () => follows(row))

test('the word that the named member is given up goes when it cannot feed anybody, so that its return counts', () => {
  const remembers: Memory = { ...settled, silentNamed: silent({ givenUpAtMs: NOW_MS - 1 }) }
  const { memory } = decide(snapshot(seen({ view: cluster({ states: { pg3: 'stopped' } }) })), remembers)
  assert.equal(memory.silentNamed, undefined)
  assert.deepEqual(decide(snapshot(seen()), memory).actions.map(describe), ['follow pg3'])
})

test('a turn of waiting for the named member is not longer than a loop_wait', () => {
  const { againInMs } = decide(snapshot(seen({ ...following, server: deaf })), settled)
  assert.equal(againInMs, 10_000)
})
