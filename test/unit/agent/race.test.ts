import assert from 'node:assert/strict'
import test from 'node:test'
import { compare, peersToAsk, walPosition } from '../../../src/agent/race.ts'
import { gate } from '../../../src/agent/rules/gate.ts'
import type { PeerAnswer, Snapshot } from '../../../src/agent/snapshot.ts'
import type { ServerFacts } from '../../../src/postgres/port.ts'
import { facts, peer, snapshot, type ViewSpec, view } from './scene.ts'

test('a standby’s position is the larger of received and replayed', () => {
  assert.equal(walPosition(facts({ receivedLsn: 5n, replayedLsn: 7n })), 7n)
  assert.equal(walPosition(facts({ receivedLsn: 9n, replayedLsn: 7n })), 9n)
  assert.equal(walPosition(facts({ role: 'primary', writeLsn: 11n })), 11n)
})

interface GateRow {
  readonly situation: string
  readonly view?: ViewSpec
  readonly self?: Partial<Snapshot['self']>
  readonly config?: object
  readonly facts?: Partial<ServerFacts>
  readonly mayLead: boolean
}

const gateRows: readonly GateRow[] = [
  { situation: 'nothing speaks against it', mayLead: true },
  { situation: 'tagged nofailover', self: { tags: { nofailover: true } }, mayLead: false },
  { situation: 'failover_priority 0', self: { tags: { failover_priority: 0 } }, mayLead: false },
  {
    situation: 'nofailover false wins over priority 0',
    self: { tags: { nofailover: false, failover_priority: 0 } },
    mayLead: true,
  },
  { situation: 'lag exactly at the limit', view: { status: '{"optime":1049576}' }, mayLead: true },
  { situation: 'lag one byte over the limit', view: { status: '{"optime":1049577}' }, mayLead: false },
  {
    situation: 'lag over the limit, but named by the operator',
    view: { status: '{"optime":9049577}', failover: '{"member":"pg2"}' },
    mayLead: true,
  },
  {
    situation: 'timeline behind the history',
    view: { history: '[[1,5,""],[2,9,""]]' },
    mayLead: false,
  },
  {
    situation: 'timeline behind the history with check_timeline off',
    view: { history: '[[1,5,""]]' },
    config: { check_timeline: false },
    mayLead: true,
  },
  {
    situation: 'another running member is the named candidate',
    view: { failover: '{"member":"pg3"}' },
    mayLead: false,
  },
  {
    situation: 'the named candidate is not there',
    view: { failover: '{"member":"pg3"}', members: ['pg1', 'pg2'] },
    mayLead: true,
  },
  {
    situation: 'the switchover takes over from us and nobody else is there',
    view: { failover: '{"leader":"pg2"}', members: ['pg2'] },
    mayLead: true,
  },
]

for (const row of gateRows) {
  test(`gate: ${row.situation} -> ${row.mayLead}`, async () => {
    const { dynamicConfig } = await import('../../../src/config/agent/dynamic.ts')
    const seen = view({ leader: undefined, ...row.view })
    const base = snapshot()
    const shot = snapshot({
      view: seen,
      self: { ...base.self, ...row.self },
      config: dynamicConfig({ ...row.config }, true),
    })
    assert.equal(gate(shot, seen, facts(row.facts)).mayLead, row.mayLead)
  })
}

const compareRows: readonly [string, Partial<PeerAnswer>, boolean][] = [
  ['has the same position', {}, true],
  ['is ahead', { walPosition: 1001n }, false],
  ['is ahead but may not lead', { walPosition: 1001n, mayLead: false }, true],
  ['is ahead but its watchdog failed', { walPosition: 1001n, watchdogFailed: true }, true],
  ['is ahead but did not answer', { walPosition: 1001n, isReachable: false }, true],
  ['still runs as primary', { isPrimary: true, walPosition: 1n }, false],
  ['is on a later timeline though behind', { timeline: 2, walPosition: 1n }, false],
  ['has the same position and a higher priority', { failoverPriority: 2 }, false],
  ['is behind and has a higher priority', { failoverPriority: 2, walPosition: 999n }, true],
  ['tells no position', { walPosition: undefined }, true],
]

for (const [situation, changes, mayLead] of compareRows) {
  test(`race: the other ${situation} -> ${mayLead}`, () => {
    assert.equal(compare(snapshot(), facts(), [peer('pg3', changes)]).mayLead, mayLead)
  })
}

test('everyone of the last view with a leader is asked, and everyone there now, but not ourselves', () => {
  const electorate = new Map([
    ['pg2', 'http://10.0.0.2:8008/patroni'],
    ['pg9', 'http://10.0.0.9:8008/patroni'],
  ])
  const asked = peersToAsk(view({ members: ['pg1', 'pg2'] }), electorate, 'pg2')
  assert.deepEqual([...asked.keys()].sort(), ['pg1', 'pg9'])
})
