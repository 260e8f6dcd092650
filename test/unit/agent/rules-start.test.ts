// Situations between a start and a server that is up; each was first met by a seed of the simulation.

import assert from 'node:assert/strict'
import test from 'node:test'
import { standbyNames } from '../../../src/agent/sync/promotion.ts'
import { down, holding, ledByUs, running, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const rows: readonly Row[] = [
  {
    situation: 'never compared, and the leader gives no answer: it may be on another timeline of our number',
    seen: { divergence: { kind: 'unknown', why: 'too many clients' }, isFollowingLeader: false },
    remembers: { cleanAgainst: undefined },
    rule: 'wait-to-compare',
    actions: [],
    againInMs: 1_000,
  },
  {
    situation: 'never compared, and the leader will never let us ask: it is followed all the same',
    seen: {
      divergence: { kind: 'unknown', why: 'no pg_hba.conf entry', isLasting: true },
      isFollowingLeader: false,
    },
    remembers: { cleanAgainst: undefined },
    rule: 'follow',
    actions: ['follow pg1'],
  },
  {
    situation: 'pg_rewind can never work on our data: it is told, and nothing is tried',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n }, canRewind: false },
    remembers: { cleanAgainst: 90n },
    rule: 'diverged',
    actions: [],
    says: /neither checksums nor wal_log_hints/,
    needsOperator: true,
  },
  {
    situation: 'a rewind could not begin a moment ago: it waits for its next try',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n } },
    remembers: { cleanAgainst: 90n, rewindPause: { tries: 3, untilMs: 1_000_700 } },
    rule: 'wait-to-rewind',
    actions: [],
    says: /could not begin \(3 tries\)/,
    againInMs: 700,
  },
  {
    situation: 'a rewind could not begin, and its pause is over: it is tried again',
    seen: { server: down(), divergence: { kind: 'diverged', at: 900n, localEnd: 1000n } },
    remembers: { cleanAgainst: 90n, rewindPause: { tries: 3, untilMs: 1_000_000 } },
    rule: 'rewind',
    actions: ['rewind pg1'],
  },
  {
    situation:
      'a standby comes up without its upstream: it is pointed to the leader, whose WAL it may need to come up at all',
    seen: { server: down({ process: 'starting' }), isFollowingLeader: false },
    remembers: { cleanAgainst: 100n },
    rule: 'follow-while-starting',
    actions: ['follow pg1'],
  },
  {
    situation: 'it comes up and was compared with an earlier leader only: compared again before it follows',
    seen: { server: down({ process: 'starting' }), isFollowingLeader: false },
    remembers: { cleanAgainst: 80n },
    rule: 'compare-while-starting',
    actions: ['check-divergence pg1'],
  },
  {
    situation: "it comes up, and its history is a part of the leader's: it follows, and remembers that",
    seen: { server: down({ process: 'starting' }), isFollowingLeader: false, divergence: { kind: 'none' } },
    remembers: { cleanAgainst: 80n },
    rule: 'follow-while-starting',
    actions: ['follow pg1'],
  },
  {
    situation: "it comes up with a timeline of the same number that is not the leader's: it is rewound",
    seen: {
      server: down({ process: 'starting' }),
      isFollowingLeader: false,
      divergence: { kind: 'diverged', at: 900n, localEnd: 1000n },
    },
    remembers: { cleanAgainst: 80n },
    rule: 'rewind',
    actions: ['rewind pg1'],
  },
  {
    situation:
      "it comes up, and nobody could tell whether its history is the leader's: it waits and says why",
    seen: {
      server: down({ process: 'starting' }),
      isFollowingLeader: false,
      divergence: { kind: 'unknown', why: 'pg1 does not answer', isLeaderInRecovery: false },
    },
    remembers: { cleanAgainst: 80n },
    rule: 'wait-while-starting',
    actions: [],
    says: /follows nobody yet: pg1 does not answer/,
  },
  {
    situation: 'it comes up, and the leader is still being promoted: nobody to compare with',
    seen: {
      view: view({ roles: { pg1: 'replica' } }),
      server: down({ process: 'starting' }),
      isFollowingLeader: false,
    },
    remembers: { cleanAgainst: 80n },
    rule: 'wait-while-starting',
    actions: [],
  },
  {
    situation: 'a standby that comes up and follows already: it is left alone',
    seen: { server: down({ process: 'starting' }) },
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'our own server comes up while the key is ours: there is nobody to follow',
    seen: {
      view: ledByUs(),
      server: down({ process: 'starting' }),
      lease: holding,
      isFollowingLeader: false,
    },
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'the key outlived our lease, which is not renewed yet: the promotion waits for the renewal',
    seen: { view: ledByUs(), server: running(), lease: { ...holding, leftMs: 0 } },
    rule: 'wait-for-renewal',
    actions: [],
  },
  {
    situation: 'the lease is renewed: the promotion goes on',
    seen: { view: ledByUs(), server: running(), lease: holding },
    rule: 'promote',
    actions: ['promote'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))

test('where a promotion must not begin open a standby waits for nobody beforehand: names take effect too late', () => {
  const names = (synchronousMode: 'off' | 'on' | 'quorum', isSynchronousStrict: boolean) =>
    standbyNames({ synchronousMode, isSynchronousStrict })
  assert.equal(names('off', true), undefined)
  assert.equal(names('on', false), '')
  for (const closed of [names('on', true), names('quorum', false), names('quorum', true)]) {
    assert.match(closed ?? '', /placeholder/)
  }
})
