import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import type { Memory, Snapshot } from '../../../src/agent/snapshot.ts'
import { down, holding, ledByUs, peer, running, settled, snapshot, view } from './scene.ts'

interface Row {
  readonly situation: string
  readonly seen: Partial<Snapshot>
  readonly remembers?: Partial<Memory>
  readonly rule: string
  readonly actions: readonly string[]
  readonly says?: RegExp
}

const noLeader = view({ leader: undefined })
const primary = running({ role: 'primary' })

const rows: readonly Row[] = [
  {
    situation: 'a standby streams from the leader: nothing to do',
    seen: {},
    rule: 'no-action-replica',
    actions: [],
    says: /^no action\. I am \(pg2\), a secondary, and following a leader \(pg1\)$/,
  },
  {
    situation: 'the leader holds its key and its server is a primary: nothing to do',
    seen: { view: ledByUs(), server: primary, lease: holding },
    rule: 'no-action-leader',
    actions: [],
    says: /^no action\. I am \(pg2\), the leader with the lock$/,
  },
  {
    situation: 'the key is ours and the server still is a standby: promote',
    seen: { view: ledByUs(), lease: holding },
    rule: 'promote',
    actions: ['promote'],
  },
  {
    situation: 'a primary sees another name in the key: stop at once and release nothing',
    seen: { server: primary },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'the fence is at work: decide nothing',
    seen: { server: primary, lease: { ...holding, isFencing: true } },
    rule: 'fence-acts',
    actions: [],
  },
  {
    situation: 'etcd is silent and the leader still has lease left: go on until the deadline',
    seen: { view: undefined, server: primary, lease: holding },
    rule: 'etcd-is-silent',
    actions: [],
    says: /demoting in 20\.0 s/,
  },
  {
    situation: 'etcd is silent and a primary holds nothing (an agent that was restarted): stop at once',
    seen: { view: undefined, server: primary },
    rule: 'etcd-is-silent',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'etcd is silent after the fence stopped the server: readers get it back, without upstream',
    seen: { view: undefined, server: down() },
    rule: 'etcd-is-silent',
    actions: ['start replica of nobody'],
  },
  {
    situation: 'etcd is silent and this process has never seen the cluster: touch nothing',
    seen: { view: undefined, server: down() },
    remembers: { isSettled: false },
    rule: 'etcd-is-silent',
    actions: [],
  },
  {
    situation: 'the data belongs to another cluster: end, touch nothing',
    seen: { systemId: '7300000000000000002' },
    rule: 'another-cluster',
    actions: ['exit 1'],
    says: /system ID mismatch/,
  },
  {
    situation: 'an empty directory in a scope that nobody initialized: bootstrap',
    seen: {
      view: view({ leader: undefined, initialize: undefined, members: [] }),
      server: down({ dataDirectory: 'empty' }),
      systemId: undefined,
    },
    rule: 'bootstrap',
    actions: ['bootstrap'],
  },
  {
    situation: 'an empty directory while another node bootstraps: wait',
    seen: {
      view: view({ leader: undefined, initialize: '' }),
      server: down({ dataDirectory: 'empty' }),
      systemId: undefined,
    },
    rule: 'wait-for-bootstrap',
    actions: [],
  },
  {
    situation: 'an empty directory and a leader: copy it',
    seen: { server: down({ dataDirectory: 'empty' }), systemId: undefined },
    rule: 'clone',
    actions: ['clone pg1'],
  },
  {
    situation: 'the leader lost its data directory: give the key away',
    seen: { view: ledByUs(), lease: holding, server: down({ dataDirectory: 'empty' }), systemId: undefined },
    rule: 'data-directory-empty',
    actions: ['release-leader'],
  },
  {
    situation: 'storage of the leader cannot be read: give the key away',
    seen: { view: ledByUs(), lease: holding, server: down({ dataDirectory: 'unreadable' }) },
    rule: 'data-directory-unreadable',
    actions: ['release-leader'],
  },
  {
    situation: 'etcd was wiped and a primary runs: it names the cluster again',
    seen: { view: view({ leader: undefined, initialize: undefined }), server: primary },
    remembers: { isSettled: false },
    rule: 'register-system-id',
    actions: ['register-system-id'],
  },
  {
    situation: 'etcd was wiped and a standby has just started: it waits for the primary',
    seen: { view: view({ leader: undefined, initialize: undefined }) },
    remembers: { isSettled: false },
    rule: 'wait-for-primary',
    actions: [],
  },
  {
    situation: 'the server of the leader died: start it again in place',
    seen: { view: ledByUs(), lease: holding, server: down() },
    remembers: { role: 'primary' },
    rule: 'restart-in-place',
    actions: ['start primary of nobody'],
  },
  {
    situation: 'the server of the leader does not start: give the key away',
    seen: { view: ledByUs(), lease: holding, server: down() },
    remembers: { role: 'primary', failedStarts: 3 },
    rule: 'leader-cannot-start',
    actions: ['release-leader'],
  },
  {
    situation: 'a start failed a moment ago: wait before the next',
    seen: { server: down() },
    remembers: { failedStarts: 1, nextStartAtMs: 1_000_200 },
    rule: 'wait-to-start',
    actions: [],
  },
  {
    situation: 'a standby died and its history is known to be the leader’s: start it following',
    seen: { server: down() },
    rule: 'start-following',
    actions: ['start replica of pg1'],
  },
  {
    situation: 'a server that died before this leader: compare histories first',
    seen: { server: down() },
    remembers: { cleanAgainst: 90n },
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
  {
    situation: 'a former primary parted from the leader: rewind',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n } },
    remembers: { cleanAgainst: 90n },
    rule: 'rewind',
    actions: ['rewind pg1'],
  },
  {
    situation: 'rewind failed against this leader and removal is not allowed: say so and stay',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n } },
    remembers: { cleanAgainst: 90n, rewindFailedAgainst: 100n },
    rule: 'diverged',
    actions: [],
  },
  {
    situation: 'a crashed server whose end of WAL is unknown: it recovers alone first',
    seen: { server: down(), divergence: { kind: 'unknown', why: 'crashed' } },
    remembers: { cleanAgainst: 90n },
    rule: 'start-alone',
    actions: ['start replica of nobody'],
  },
  {
    situation: 'nobody leads: ask the others before anything',
    seen: { view: noLeader },
    rule: 'ask-peers',
    actions: ['ask-peers'],
  },
  {
    situation: 'nobody leads and nobody is ahead: take the key',
    seen: { view: noLeader, peers: [peer('pg3')] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'nobody leads and pg3 has more WAL: stay back',
    seen: { view: noLeader, peers: [peer('pg3', { walPosition: 1001n })] },
    rule: 'race-stay-back',
    actions: [],
    says: /Wal position of pg3 is ahead of my wal position/,
  },
  {
    situation: 'nobody leads but the old primary still runs: stay back',
    seen: { view: noLeader, peers: [peer('pg1', { isPrimary: true, walPosition: 900n })] },
    rule: 'race-stay-back',
    actions: [],
    says: /still alive/,
  },
  {
    situation: 'nobody leads and we run as primary on the cluster’s timeline: take the key again',
    seen: { view: noLeader, server: primary, peers: [peer('pg3', { walPosition: 1001n })] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'nobody leads and we run as primary on an old timeline: stop',
    seen: { view: view({ leader: undefined, history: '[[1,900,"x"]]' }), server: primary },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'nobody leads and a peer is on a later timeline than our primary: stop',
    seen: { view: noLeader, server: primary, peers: [peer('pg3', { timeline: 2 })] },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'the key was taken by another in this turn: read again',
    seen: { view: noLeader, peers: [], acquired: 'lost' },
    rule: 'race-lost',
    actions: [],
  },
  {
    situation: 'an agent was restarted beside a running leader: take the key up again',
    seen: { view: view({ leader: 'pg2' }), server: primary },
    remembers: { isSettled: false },
    rule: 'reattach-leader',
    actions: ['reattach-leader'],
  },
  {
    situation: 'our name is in the key, but a settled process lost its hold: stop',
    seen: { view: view({ leader: 'pg2' }), server: primary },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'an acquire whose answer was lost did win: take it up',
    seen: { view: view({ leader: 'pg2', leaderLease: 77n }) },
    rule: 'reattach-leader',
    actions: ['reattach-leader'],
  },
  {
    situation: 'our name is left in the key by a former life and the server is a standby: wait for its end',
    seen: { view: view({ leader: 'pg2' }) },
    rule: 'wait-for-expiry',
    actions: [],
  },
  {
    situation: 'a switchover is requested: ask the candidates',
    seen: { view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }), server: primary, lease: holding },
    rule: 'ask-candidates',
    actions: ['ask-peers'],
  },
  {
    situation: 'a switchover is requested and the candidate is fit: hand over in order',
    seen: {
      view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }),
      server: primary,
      lease: holding,
      peers: [peer('pg3')],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'a switchover is requested and the candidate does not answer: clear it',
    seen: {
      view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }),
      server: primary,
      lease: holding,
      peers: [peer('pg3', { isReachable: false })],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'a switchover names a leader that we are not: clear it',
    seen: { view: ledByUs({ failover: '{"leader":"pg9","member":"pg3"}' }), server: primary, lease: holding },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'a switchover is scheduled for tomorrow: carry on',
    seen: {
      view: ledByUs({ failover: '{"leader":"pg2","scheduled_at":"2026-11-25T04:00:00+00:00"}' }),
      server: primary,
      lease: holding,
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'the key is free in a switchover that names another: leave it to the candidate',
    seen: { view: view({ leader: undefined, failover: '{"leader":"pg1","member":"pg3"}' }) },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'the key is free in a switchover away from us: do not take it back',
    seen: { view: view({ leader: undefined, failover: '{"leader":"pg2"}' }) },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'the standby does not stream from the new leader yet: follow it',
    seen: { isFollowingLeader: false },
    rule: 'follow',
    actions: ['follow pg1'],
  },
  {
    situation: 'a new leader on another timeline: compare histories while the standby runs',
    seen: { view: view({ timelines: { pg1: 2 } }), isFollowingLeader: true },
    remembers: { cleanAgainst: 90n },
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
  {
    situation: 'a running standby parted from the new leader: rewind',
    seen: {
      view: view({ timelines: { pg1: 2 } }),
      divergence: { kind: 'diverged', at: 900n, localEnd: 1000n },
    },
    remembers: { cleanAgainst: 90n },
    rule: 'rewind',
    actions: ['rewind pg1'],
  },
  {
    situation: 'the config key is gone while we lead: write it again',
    seen: { view: ledByUs({ config: undefined }), server: primary, lease: holding },
    rule: 'no-action-leader',
    actions: ['write-config'],
  },
  {
    situation: 'a task is under way: wait for it',
    seen: { task: { kind: 'rewind', startedAtMs: 998_000, says: 'running pg_rewind' }, server: down() },
    rule: 'task-runs',
    actions: [],
    says: /running pg_rewind in progress \(2 s\)/,
  },
]

for (const row of rows) {
  test(row.situation, () => {
    const decision = decide(snapshot(row.seen), { ...settled, ...row.remembers })
    assert.equal(decision.rule, row.rule, decision.says)
    assert.deepEqual(decision.actions.map(describe), row.actions)
    if (row.says !== undefined) assert.match(decision.says, row.says)
  })
}

function describe(action: ReturnType<typeof decide>['actions'][number]): string {
  switch (action.kind) {
    case 'start':
      return `start ${action.as} of ${action.upstream?.member ?? 'nobody'}`
    case 'demote': {
      const { mode, release, candidate } = action.demotion
      return `demote ${mode} ${release ? 'release' : 'keep'}${candidate === undefined ? '' : ` to ${candidate}`}`
    }
    case 'clone':
      return `clone ${action.from.member}`
    case 'follow':
      return `follow ${action.upstream?.member ?? 'nobody'}`
    case 'rewind':
    case 'check-divergence':
      return `${action.kind} ${action.leader.member}`
    case 'exit':
      return `exit ${action.code}`
    default:
      return action.kind
  }
}
