import test from 'node:test'
import type { Snapshot } from '../../../src/agent/snapshot.ts'
import { NOBODY } from '../../../src/agent/sync/names.ts'
import { firstSyncMemory } from '../../../src/agent/sync/scene.ts'
import type { Sender } from '../../../src/postgres/port.ts'
import { config, facts, holding, ledByUs, peer, running, sender, sync, type ViewSpec } from './scene.ts'
import { follows, type Row } from './table.ts'

const on = config({ synchronous_mode: true })
const strict = config({ synchronous_mode: true, synchronous_mode_strict: true })
const quorum = config({ synchronous_mode: 'quorum' })
const START = facts({ role: 'primary' }).postmasterStartTime

/** pg2 leads; its parameter is `names`, these stream from it. */
function leads(names: string, senders: readonly Sender[], spec: ViewSpec = {}): Partial<Snapshot> {
  return {
    view: ledByUs(spec),
    lease: holding,
    server: running({
      role: 'primary',
      senders,
      synchronous: { names, flushLsn: 1000n, isCheckpointerAtRest: true },
    }),
    synchronousNames: { isKnown: true, names },
  }
}

/** The parameter has been in effect for long; everything before it lies before 1000. */
const settledOn = (names: string) => ({
  sync: { ...firstSyncMemory, parameter: `${START} ${names}`, sinceMs: 0, settledAt: 1000n },
})
const confirming = (name: string, flushLsn = 1000n): Sender =>
  sender(name, { syncState: 'sync', syncPriority: 1, flushLsn })
const voting = (name: string): Sender => sender(name, { syncState: 'quorum', syncPriority: 1 })

const rows: readonly Row[] = [
  {
    situation: 'synchronous mode was just switched on: the sync key says that only the leader may lead',
    seen: { config: on, ...leads('', [sender('pg1')]) },
    rule: 'synchronous-standbys',
    actions: ['write-sync nobody / 0'],
  },
  {
    situation: 'a standby streams and nobody confirms yet: it enters the parameter before the key',
    seen: { config: on, ...leads('', [sender('pg1')], { sync: sync('pg2', null) }) },
    rule: 'synchronous-names',
    actions: ['names pg1'],
  },
  {
    situation: 'the parameter has just changed: the standby is not named in the key yet',
    seen: { config: on, ...leads('pg1', [confirming('pg1')], { sync: sync('pg2', null) }) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'the standby confirms and has everything from before: it is named in the key',
    seen: { config: on, ...leads('pg1', [confirming('pg1')], { sync: sync('pg2', null) }) },
    remembers: settledOn('pg1'),
    rule: 'synchronous-standbys',
    actions: ['write-sync pg1 / 0'],
  },
  {
    situation: 'the standby confirms but lacks commits from before the parameter: not named yet',
    seen: { config: on, ...leads('pg1', [confirming('pg1', 999n)], { sync: sync('pg2', null) }) },
    remembers: settledOn('pg1'),
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'the only synchronous standby is gone: out of the key first',
    seen: { config: on, ...leads('pg1', [], { sync: sync('pg2', 'pg1'), states: { pg1: 'stopped' } }) },
    remembers: settledOn('pg1'),
    rule: 'synchronous-standbys',
    actions: ['write-sync nobody / 0'],
  },
  {
    situation: 'it is out of the key: commits need not wait for it any more',
    seen: { config: on, ...leads('pg1', [], { sync: sync('pg2', null), states: { pg1: 'stopped' } }) },
    remembers: settledOn('pg1'),
    rule: 'synchronous-names',
    actions: ['names nobody'],
  },
  {
    situation: 'a receiver that reconnects is given a second before anything changes',
    seen: { config: on, ...leads('pg1', [], { sync: sync('pg2', 'pg1') }) },
    remembers: settledOn('pg1'),
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'strict, and the last standby is gone: commits wait for it, and one warning says so',
    seen: { config: strict, ...leads('pg1', [], { sync: sync('pg2', 'pg1'), states: { pg1: 'stopped' } }) },
    remembers: settledOn('pg1'),
    rule: 'no-action-leader',
    actions: [],
    warns: /No active replication connections from Patroni members and synchronous_mode_strict is requested/,
  },
  {
    situation: 'strict, and there never was a standby: commits wait for nobody who exists',
    seen: { config: strict, ...leads('', [], { sync: sync('pg2', null), members: ['pg2'] }) },
    rule: 'synchronous-names',
    actions: [`names ${NOBODY}`],
  },
  {
    situation: 'somebody emptied the parameter by hand: the key gives the names up first',
    seen: { config: on, ...leads('', [sender('pg1')], { sync: sync('pg2', 'pg1') }) },
    rule: 'synchronous-standbys',
    actions: ['write-sync nobody / 0'],
  },
  {
    situation: 'a standby tagged nosync is not asked to confirm',
    seen: {
      config: on,
      ...leads('', [sender('pg1'), sender('pg3')], {
        sync: sync('pg2', null),
        tags: { pg1: { nosync: true } },
      }),
    },
    rule: 'synchronous-names',
    actions: ['names pg3'],
  },
  {
    situation: 'the higher sync_priority confirms',
    seen: {
      config: on,
      ...leads('', [sender('pg1'), sender('pg3')], {
        sync: sync('pg2', null),
        tags: { pg3: { sync_priority: 2 } },
      }),
    },
    rule: 'synchronous-names',
    actions: ['names pg3'],
  },
  {
    situation: 'a standby tagged nofailover confirms only when nobody else can',
    seen: {
      config: on,
      ...leads('', [sender('pg1'), sender('pg3')], {
        sync: sync('pg2', null),
        tags: { pg1: { nofailover: true } },
      }),
    },
    rule: 'synchronous-names',
    actions: ['names pg3'],
  },
  {
    situation: 'a standby behind maximum_lag_on_syncnode is passed over',
    seen: {
      config: config({ synchronous_mode: true, maximum_lag_on_syncnode: 100 }),
      ...leads('', [sender('pg1', { flushLsn: 800n }), sender('pg3')], { sync: sync('pg2', null) }),
    },
    rule: 'synchronous-names',
    actions: ['names pg3'],
  },
  {
    situation: 'two shall confirm: all of two names, not the first of them',
    seen: {
      config: config({ synchronous_mode: true, synchronous_node_count: 2 }),
      ...leads('', [sender('pg1'), sender('pg3')], { sync: sync('pg2', null) }),
    },
    rule: 'synchronous-names',
    actions: ['names 2 (pg1,pg3)'],
  },
  {
    situation: 'member names with an upper-case letter are the same member',
    seen: {
      config: on,
      ...leads('PG1', [sender('PG1', { syncState: 'sync', syncPriority: 1 })], { sync: sync('pg2', 'pg1') }),
    },
    remembers: settledOn('PG1'),
    rule: 'synchronous-names',
    actions: ['names pg1'],
  },
  {
    situation: 'a checkpoint keeps the checkpointer busy: a new parameter does not count yet',
    seen: {
      config: on,
      ...leads('pg1', [confirming('pg1')], { sync: sync('pg2', null) }),
      server: running({
        role: 'primary',
        senders: [confirming('pg1')],
        synchronous: { names: 'pg1', flushLsn: 1000n, isCheckpointerAtRest: false },
      }),
    },
    remembers: { sync: { ...firstSyncMemory, parameter: `${START} pg1`, sinceMs: 0 } },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation:
      'the agent was restarted: it takes the right parameter over, so that a restart of the server keeps it',
    seen: {
      config: on,
      ...leads('pg1', [confirming('pg1')], { sync: sync('pg2', 'pg1') }),
      synchronousNames: { isKnown: false, names: undefined },
    },
    rule: 'synchronous-names',
    actions: ['names pg1'],
  },
  {
    situation: 'synchronous mode was switched off: the parameter goes back first',
    seen: leads('pg1', [confirming('pg1')], { sync: sync('pg2', 'pg1') }),
    rule: 'synchronous-names',
    actions: ['names of the configuration'],
  },
  {
    situation: 'synchronous mode is off and the parameter is given back: the key goes',
    seen: {
      ...leads('', [sender('pg1')], { sync: sync('pg2', 'pg1') }),
      synchronousNames: { isKnown: true, names: undefined },
    },
    rule: 'synchronous-off',
    actions: ['delete-sync'],
  },
  {
    situation: 'quorum: both standbys vote, either may confirm, the other’s vote is needed to lead',
    seen: {
      config: quorum,
      ...leads('ANY 1 (pg1,pg3)', [voting('pg1'), voting('pg3')], { sync: sync('pg2', null) }),
    },
    remembers: settledOn('ANY 1 (pg1,pg3)'),
    rule: 'synchronous-standbys',
    actions: ['write-sync pg1 pg3 / 1'],
  },
  {
    situation: 'quorum, and a voter is gone: the parameter goes without it while the key still counts it',
    seen: {
      config: quorum,
      ...leads('ANY 1 (pg1,pg3)', [voting('pg1')], {
        sync: sync('pg2', 'pg1,pg3', 1),
        states: { pg3: 'stopped' },
      }),
    },
    remembers: settledOn('ANY 1 (pg1,pg3)'),
    rule: 'synchronous-names',
    actions: ['names ANY 1 (pg1)'],
  },
  {
    situation: 'promotion in synchronous mode: the key says that only we may lead before the first commit',
    seen: { config: on, view: ledByUs({ sync: sync('pg1', 'pg2') }), lease: holding },
    rule: 'promote',
    actions: ['promote, sync nobody / 0, names nobody'],
  },
  {
    situation: 'promotion in strict mode: the other old standbys stay, and commits wait for them',
    seen: { config: strict, view: ledByUs({ sync: sync('pg1', 'pg2,pg3') }), lease: holding },
    rule: 'promote',
    actions: ['promote, sync pg3 / 0, names pg3'],
  },
  {
    situation: 'promotion with a quorum of one vote: the other voter alone could not lead without us',
    seen: { config: quorum, view: ledByUs({ sync: sync('pg1', 'pg2,pg3', 1) }), lease: holding },
    rule: 'promote',
    actions: ['promote, sync pg3 / 1, names nobody'],
  },
  {
    situation:
      'a switchover without a candidate goes to the synchronous standby, not to a better asynchronous one',
    seen: {
      config: on,
      ...leads('pg3', [sender('pg1'), confirming('pg3')], {
        sync: sync('pg2', 'pg3'),
        failover: '{"leader":"pg2"}',
      }),
      peers: [peer('pg1'), peer('pg3')],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg3'],
  },
  {
    situation: 'a switchover in quorum mode while too few voters answer is refused',
    seen: {
      config: quorum,
      ...leads('ANY 1 (pg1,pg3)', [voting('pg1'), voting('pg3')], {
        sync: sync('pg2', 'pg1,pg3', 1),
        failover: '{"leader":"pg2","member":"pg3"}',
      }),
      peers: [peer('pg3'), peer('pg1', { isReachable: false })],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))
