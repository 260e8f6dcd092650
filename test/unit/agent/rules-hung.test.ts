// Our server answers over the connection that we keep and no new one, or its storage takes no write.

import test from 'node:test'
import { config, holding, ledByUs, peer, running, sender, sync, view } from './scene.ts'

import { follows, type Row } from './table.ts'

const deaf = (unansweredMs: number, role: 'primary' | 'replica' = 'primary') => ({
  ...running({ role }),
  unansweredMs,
})
const hanging = (silentMs: number, role: 'primary' | 'replica' = 'primary') => ({
  ...running({ role }),
  storage: { silentMs, refusal: undefined },
})
/** A leader from which these stream and confirm, or a standby. */
const refusing = (refusedMs: number, role: 'primary' | 'replica' = 'primary', senders: string[] = []) => ({
  ...running({
    role,
    ...(role === 'replica'
      ? {}
      : {
          senders: senders.map(name => sender(name, { syncState: 'sync', syncPriority: 1 })),
          synchronous: { names: 'pg1', flushLsn: 1000n, isCheckpointerAtRest: true },
        }),
  }),
  storage: { silentMs: 0, refusal: 'No space left on device', refusedMs },
})
const led = { view: ledByUs(), lease: holding }
const IN_SYNC = { synchronous_mode: true }
const inSync = {
  ...led,
  view: ledByUs({ sync: sync('pg2', 'pg1') }),
  config: config(IN_SYNC),
  synchronousNames: { isKnown: true, names: 'pg1' },
}

const rows: readonly Row[] = [
  {
    situation:
      'the leader’s server has answered no new connection for longer than hung_after: ask for an heir',
    seen: { ...led, server: deaf(61_000) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
    says: /answers no new connection/,
  },
  {
    situation: 'somebody can take over from a leader that answers no new connection: give way',
    seen: { ...led, server: deaf(61_000), peers: [peer('pg1')] },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'nobody can take over from a leader that answers no new connection: its sessions go on',
    seen: { ...led, server: deaf(61_000), peers: [peer('pg1', { isReachable: false })] },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a server that has been without an answer for less than that is only busy',
    seen: { ...led, server: deaf(59_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'hung_after 0: nobody looks',
    seen: { ...led, config: config({ pgherd: { hung_after: 0 } }), server: deaf(500_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'hung_after is the operator’s to choose',
    seen: { ...led, config: config({ pgherd: { hung_after: '5s' } }), server: deaf(6_000) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
  },
  {
    situation: 'paused: a leader that answers no new connection is left alone',
    seen: { ...led, config: config({ pause: true }), server: deaf(500_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a standby whose server answers no new connection does not race: it could not be promoted',
    seen: { view: view({ leader: undefined }), server: deaf(61_000, 'replica') },
    rule: 'race-stay-back',
    actions: [],
    says: /my server hangs/,
  },
  {
    situation: 'the storage of the leader has taken no write for longer than hung_after: ask for an heir',
    seen: { ...led, server: hanging(61_000) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
    says: /the storage of the server hangs: it takes no write/,
  },
  {
    situation: 'somebody can take over from a leader whose storage takes no write: give way',
    seen: { ...led, server: hanging(61_000), peers: [peer('pg1')] },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'the storage of the only heir hangs, too: nobody could take over',
    seen: { ...led, server: hanging(61_000), peers: [peer('pg1', { storageSilentMs: 1_500 })] },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'storage that has taken no write for less than that is only busy',
    seen: { ...led, server: hanging(59_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'storage that has refused writes for less than that may have room again in a moment',
    seen: { ...inSync, server: refusing(59_000, 'primary', ['pg1']) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'the storage of the leader has refused writes for longer than hung_after: ask for an heir',
    seen: { ...inSync, server: refusing(61_000, 'primary', ['pg1']) },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
    says: /the storage of the server refuses writes: No space left on device/,
  },
  {
    situation:
      'a synchronous standby streams from a leader whose storage refuses writes and can write: hand over in order',
    seen: { ...inSync, server: refusing(61_000, 'primary', ['pg1']), peers: [peer('pg1')] },
    rule: 'hand-over-storage',
    actions: ['demote graceful release to pg1'],
  },
  {
    situation:
      'nobody could take what such a leader handed over a while ago: readers are not disturbed again',
    seen: { ...inSync, server: refusing(61_000, 'primary', ['pg1']), peers: [peer('pg1')] },
    remembers: { handedOverAtMs: 1_000_000 - 599_000 },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'long after a hand-over that nobody could take it is tried again',
    seen: { ...inSync, server: refusing(61_000, 'primary', ['pg1']), peers: [peer('pg1')] },
    remembers: { handedOverAtMs: 1_000_000 - 601_000 },
    rule: 'hand-over-storage',
    actions: ['demote graceful release to pg1'],
  },
  {
    situation:
      'without a synchronous mode storage that refuses writes is left to PostgreSQL, which goes on reading',
    seen: { ...led, server: refusing(500_000, 'primary', ['pg1']), peers: [peer('pg1')] },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'nobody streams from a leader whose storage refuses writes: readers are served here',
    seen: { ...inSync, server: refusing(61_000), peers: [peer('pg1')] },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'the storage of the only heir refuses writes, too: nobody could take over',
    seen: {
      ...inSync,
      server: refusing(61_000, 'primary', ['pg1']),
      peers: [peer('pg1', { storageRefusal: 'Read-only file system' })],
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'hung_after 0: storage that refuses writes is left to PostgreSQL',
    seen: {
      ...inSync,
      config: config({ ...IN_SYNC, pgherd: { hung_after: 0 } }),
      server: refusing(500_000, 'primary', ['pg1']),
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'paused: a leader whose storage refuses writes is left alone',
    seen: {
      ...inSync,
      config: config({ ...IN_SYNC, pause: true }),
      server: refusing(500_000, 'primary', ['pg1']),
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a leader that hangs gives way to nobody whose storage refuses writes',
    seen: {
      ...led,
      server: deaf(61_000),
      peers: [peer('pg1', { storageRefusal: 'No space left on device' })],
    },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a standby whose storage refuses writes does not race: it could not be promoted',
    seen: { view: view({ leader: undefined }), server: refusing(0, 'replica') },
    rule: 'race-stay-back',
    actions: [],
    says: /my storage refuses writes: No space left on device/,
  },
  {
    situation: 'hung_after 0: nobody looks at the storage',
    seen: { ...led, config: config({ pgherd: { hung_after: 0 } }), server: hanging(500_000) },
    rule: 'no-action-leader',
    actions: [],
  },
  {
    situation: 'a standby whose storage takes no write does not race: it could not confirm anything',
    seen: { view: view({ leader: undefined }), server: hanging(61_000, 'replica') },
    rule: 'race-stay-back',
    actions: [],
    says: /my storage hangs/,
  },
]

for (const row of rows) test(row.situation, () => follows(row))
