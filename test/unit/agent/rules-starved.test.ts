// A standby that receives nothing: when its leader is asked, what is said, and when the data is given up.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide } from '../../../src/agent/decide.ts'
import type { StandStill } from '../../../src/agent/snapshot.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { running, settled, snapshot } from './scene.ts'
import { follows, type Row } from './table.ts'

const NOW_MS = 1_000_000
const silent = running({ replicationState: undefined })
const still = (changes: Partial<StandStill> = {}): StandStill => ({
  epoch: 100n,
  position: 1000n,
  sinceMs: NOW_MS - 10_000,
  askedAtMs: undefined,
  isWalGone: false,
  ...changes,
})
const seen = { nowMs: NOW_MS, server: silent }
const known = { cleanAgainst: 100n }
const gone = { standStill: still({ askedAtMs: NOW_MS, isWalGone: true }) }
const rebuilds = dynamicConfig({ pgherd: { rebuild_starved_replicas: true } }, true)

const rows: readonly Row[] = [
  {
    situation: 'nothing has arrived for less than 10 s: nobody is asked',
    seen,
    remembers: { ...known, standStill: still({ sinceMs: NOW_MS - 9_999 }) },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'nothing has arrived for 10 s: the leader is asked for the WAL',
    seen,
    remembers: { ...known, standStill: still() },
    rule: 'check-wal',
    actions: ['check-wal'],
  },
  {
    situation: 'the position moves, by an archive: nobody is asked',
    seen,
    remembers: { ...known, standStill: still({ position: 999n }) },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'the leader is another one than before: the time counts anew',
    seen,
    remembers: { ...known, standStill: still({ epoch: 99n }) },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'an operator paused the replay: nobody is asked',
    seen: { nowMs: NOW_MS, server: running({ replicationState: undefined, isReplayPaused: true }) },
    remembers: { ...known, standStill: still() },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'the leader was asked a moment ago: it is not asked again yet',
    seen,
    remembers: { ...known, standStill: still({ askedAtMs: NOW_MS - 59_999 }) },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'the leader has the WAL: there is nothing to say',
    seen: { ...seen, walOnLeader: 'there' },
    remembers: { ...known, standStill: still() },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'the leader did not tell: there is nothing to say',
    seen: { ...seen, walOnLeader: 'unknown' },
    remembers: { ...known, standStill: still() },
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation: 'the leader has it no more: that is said, with a warning',
    seen: { ...seen, walOnLeader: 'gone' },
    remembers: { ...known, standStill: still() },
    rule: 'wal-gone',
    actions: [],
    says: /^\(pg1\) no longer has the WAL from 0\/3E8 on/,
    warns: /until it is reinitialized/,
  },
  {
    situation: 'it is still gone: that is said, without another warning',
    seen,
    remembers: { ...known, ...gone },
    rule: 'wal-gone',
    actions: [],
  },
  {
    situation: 'the WAL is gone and a rebuild is allowed: the data is set aside',
    seen: { ...seen, config: rebuilds },
    remembers: { ...known, ...gone },
    rule: 'rebuild',
    actions: ['set-aside'],
  },
  {
    situation: 'it was rebuilt within the last hour: not again',
    seen: { ...seen, config: rebuilds },
    remembers: { ...known, ...gone, rebuiltAtMs: NOW_MS - 3_599_999 },
    rule: 'wal-gone',
    actions: [],
  },
]
for (const row of rows) test(row.situation, () => follows(row))

test('as soon as WAL arrives again everything about it is forgotten', () => {
  const { memory } = decide(snapshot({ nowMs: NOW_MS }), { ...settled, ...known, ...gone })
  assert.equal(memory.standStill, undefined)
})
