import test from 'node:test'
import type { Snapshot } from '../../../src/agent/snapshot.ts'
import { NOBODY } from '../../../src/agent/sync/names.ts'
import { firstSyncMemory } from '../../../src/agent/sync/scene.ts'
import type { Sender } from '../../../src/postgres/port.ts'
import { config, facts, holding, ledByUs, peer, running, sender, type ViewSpec, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const on = config({ synchronous_mode: true })
const strict = config({ synchronous_mode: true, synchronous_mode_strict: true })
const quorum = config({ synchronous_mode: 'quorum' })
const START = facts({ role: 'primary' }).postmasterStartTime

const sync = (leader: string, standbys: string | null, votes = 0) =>
  JSON.stringify({ leader, quorum: votes, sync_standby: standbys })

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

/** A standby that receives nothing any more. */
const sealed = running({ replicationState: undefined })

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
    situation: 'no leader, and we are no synchronous standby: stay back though our WAL is the longest',
    seen: { config: on, view: view({ leader: undefined, sync: sync('pg1', 'pg3') }), peers: [] },
    rule: 'race-stay-back',
    actions: [],
    says: /I may lack commits that were acknowledged/,
  },
  {
    situation:
      'no leader, we are the synchronous standby, and an asynchronous one has more WAL: take the key',
    seen: {
      config: on,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'PG2') }),
      peers: [peer('pg3', { walPosition: 2000n })],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'no leader, and the old one came back without a server with more WAL that nobody confirmed: take the key',
    seen: {
      config: on,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2') }),
      peers: [peer('pg1', { walPosition: 2000n, failoverPriority: 9 })],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'no leader, and an old primary still runs though the key does not list it: stay back',
    seen: {
      config: on,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2') }),
      peers: [peer('pg3', { isPrimary: true })],
    },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'a manual failover without a leader’s name goes to an asynchronous member: the operator knows',
    seen: {
      config: on,
      view: view({ leader: undefined, sync: sync('pg1', 'pg3'), failover: '{"member":"pg2"}' }),
      peers: [],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'a switchover to a member that is no synchronous standby does not get the key',
    seen: {
      config: on,
      view: view({
        leader: undefined,
        sync: sync('pg1', 'pg3'),
        failover: '{"leader":"pg1","member":"pg2"}',
      }),
      peers: [],
    },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'no leader, and we still receive: nothing more before our position counts, whoever sends it',
    seen: { config: on, view: view({ leader: undefined, sync: sync('pg1', 'pg2') }) },
    rule: 'stop-receiving',
    actions: ['stop-receiving'],
  },
  {
    situation: 'no leader, and our receiver has not ended yet',
    seen: {
      config: on,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2') }),
      isFollowingNobody: true,
      leaderlessMs: 60,
    },
    rule: 'wait-for-receiver',
    actions: [],
  },
  {
    situation:
      'no leader, and another voter still receives: its position may be another one by the time we lead',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 200,
    },
    rule: 'race-stay-back',
    actions: [],
    says: /pg3 still receives: its position is not final/,
  },
  {
    situation:
      'a primary that lived on without etcd takes its key again though its standby goes on receiving, from itself',
    seen: {
      config: on,
      server: running({ role: 'primary' }),
      view: view({ leader: undefined, sync: sync('pg2', 'pg3') }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 20,
    },
    remembers: { role: 'primary' },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'another voter still receives after a second and a half: it is of another make, nobody waits for it',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 1_600,
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'no leader in etcd, but one that lives on in failsafe mode has our word: it goes on receiving our confirmations',
    seen: {
      config: config({ synchronous_mode: true, failsafe_mode: true }),
      view: view({
        leader: undefined,
        sync: sync('pg1', 'pg2'),
        failsafe: '{"pg1":"http://a","pg2":"http://b"}',
      }),
      failsafe: { isLeading: false, promisedTo: 'pg1' },
    },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'quorum of one: the other voter answers and is not ahead: take the key',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3')],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'quorum of one: the other voter does not answer: stay back, it may have the last commits',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isReachable: false })],
    },
    rule: 'race-stay-back',
    actions: [],
    says: /I have 0 of the 1 votes that the quorum needs/,
  },
  {
    situation: 'a quorum that was written before the mode was switched to on still binds the race',
    seen: {
      config: on,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isReachable: false })],
    },
    rule: 'race-stay-back',
    actions: [],
  },
  {
    situation: 'a thawed primary finds no leader, but the sync key names another as leader: it was overtaken',
    seen: {
      config: on,
      view: view({ leader: undefined, sync: sync('pg3', null) }),
      server: running({ role: 'primary' }),
      peers: [],
    },
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
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
