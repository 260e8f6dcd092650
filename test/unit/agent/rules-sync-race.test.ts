// Who may take a free key in a synchronous mode.

import test from 'node:test'
import { config, peer, running, sync, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const on = config({ synchronous_mode: true })
const quorum = config({ synchronous_mode: 'quorum' })

/** A standby that receives nothing any more. The scene's clock stands at 1,000,000 ms, its ttl is 30 s. */
const sealed = running({ replicationState: undefined })

const rows: readonly Row[] = [
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
      peers: [peer('pg3', { isStreaming: true, isOurs: false })],
      leaderlessMs: 1_600,
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'another voter of our make still receives after a second and a half: it has no vote, for it may confirm more',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 20_000,
    },
    rule: 'race-stay-back',
    actions: [],
    says: /I have 0 of the 1 votes that the quorum needs: pg3 still receives/,
    againInMs: 1_000,
  },
  {
    situation:
      'another voter of our make still receives, and the former leader has said before that it is a standby: there is nothing to confirm, the vote counts',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg1'), peer('pg3', { isStreaming: true })],
      leaderlessMs: 20_000,
    },
    remembers: { restingLeader: { name: 'pg1', atMs: 986_000 } },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'another voter of our make still receives, and the former leader said half a ttl ago that it is a standby: it may have led since, unseen by us',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 20_000,
    },
    remembers: { restingLeader: { name: 'pg1', atMs: 985_000 } },
    rule: 'race-stay-back',
    actions: [],
    says: /pg3 still receives/,
  },
  {
    situation:
      'another voter of our make still receives, and the former leader says only now that it is a standby: the voter may have been asked before it stopped',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg1'), peer('pg3', { isStreaming: true })],
      leaderlessMs: 20_000,
    },
    rule: 'race-stay-back',
    actions: [],
    says: /pg3 still receives/,
  },
  {
    situation:
      'in failsafe mode one that has just started goes on receiving: it may not lead, and a leader may need it',
    seen: {
      config: config({ synchronous_mode: 'quorum', failsafe_mode: true }),
      server: running(),
      view: view({
        leader: undefined,
        sync: sync('pg1', 'pg2,pg3', 1),
        failsafe: '{"pg1":"","pg2":"","pg3":""}',
      }),
      leaderlessMs: 20,
      ageMs: 5_000,
    },
    rule: 'race-stay-back',
    actions: [],
    says: /I have just started/,
  },
  {
    situation: 'a voter that still receives is not needed where another one has given the vote',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3,pg4', 1) }),
      peers: [peer('pg3', { isStreaming: true }), peer('pg4')],
      leaderlessMs: 20_000,
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'voters of our make whose PostgreSQL cannot end a receiver by a reload are not waited for longer',
    seen: {
      config: quorum,
      server: running({ replicationState: undefined, serverVersion: 120020 }),
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { isStreaming: true })],
      leaderlessMs: 20_000,
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation:
      'the backoff is over, and we still receive: nothing more before our position counts, however late',
    seen: {
      config: config({ synchronous_mode: 'quorum', primary_race_backoff: 5 }),
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      leaderlessMs: 10_000,
    },
    remembers: { putOff: { position: 1000n, atMs: 900_000 } },
    rule: 'stop-receiving',
    actions: ['stop-receiving'],
  },
  {
    situation: 'a receiver that was told late to end is given the same time to do so',
    seen: {
      config: quorum,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      isFollowingNobody: true,
      leaderlessMs: 10_000,
    },
    remembers: { stoppedReceivingAtMs: 999_000 },
    rule: 'wait-for-receiver',
    actions: [],
  },
  {
    situation: 'a receiver that does not end keeps us out of the race no longer than that',
    seen: {
      config: quorum,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      isFollowingNobody: true,
      leaderlessMs: 10_000,
      peers: [peer('pg3')],
    },
    remembers: { stoppedReceivingAtMs: 998_000 },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'an order to receive nothing more that failed is given once in a turn, not until it works',
    seen: {
      config: quorum,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      leaderlessMs: 10_000,
      peers: [peer('pg3')],
    },
    remembers: { stoppedReceivingAtMs: 995_000 },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'pre_promote has just failed here: we stay back, but receive nothing more all the same',
    seen: {
      config: quorum,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      leaderlessMs: 3_000,
    },
    remembers: { prePromoteFailedAtMs: 990_000 },
    rule: 'stop-receiving',
    actions: ['stop-receiving'],
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
    situation: 'two synchronous standbys with the same WAL: the one with the higher failover_priority leads',
    seen: {
      config: on,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3') }),
      peers: [peer('pg3', { failoverPriority: 9 })],
    },
    rule: 'race-stay-back',
    actions: [],
    says: /pg3 has equally tolerable WAL position and priority 9, while this node has priority 1/,
  },
  {
    situation: 'two voters with the same WAL: the one with the higher failover_priority leads',
    seen: {
      config: quorum,
      server: sealed,
      view: view({ leader: undefined, sync: sync('pg1', 'pg2,pg3', 1) }),
      peers: [peer('pg3', { failoverPriority: 9 })],
    },
    rule: 'race-stay-back',
    actions: [],
    says: /pg3 has equally tolerable WAL position and priority 9, while this node has priority 1/,
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
]

for (const row of rows) test(row.situation, () => follows(row))
