import test from 'node:test'
import { config, down, holding, ledByUs, peer, running, snapshot, streamedBy, view } from './scene.ts'
import { follows, type Row } from './table.ts'

const noLeader = view({ leader: undefined })
const switchover = (who: string) => `{"leader":"pg1","member":"${who}"}`
const primary = running({ role: 'primary' })
const { self } = snapshot()

const rows: readonly Row[] = [
  {
    situation: 'a candidate that does not stream from us: the switchover is refused, whatever its position',
    seen: {
      view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg3')],
    },
    rule: 'request-refused',
    actions: ['clear-request'],
  },
  {
    situation: 'a switchover that names nobody: only those who stream from us are heirs',
    seen: {
      view: ledByUs({ failover: '{"leader":"pg2"}' }),
      server: streamedBy('pg1'),
      lease: holding,
      peers: [peer('pg1'), peer('pg3')],
    },
    rule: 'switchover',
    actions: ['demote graceful release to pg1'],
  },
  {
    situation: 'the named candidate does not come for 11 s: the most advanced one leads',
    seen: {
      view: view({ leader: undefined, failover: switchover('pg3') }),
      leaderlessMs: 11_000,
      peers: [peer('pg3', { walPosition: 900n })],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'the named candidate is tagged nofailover: nobody waits for it',
    seen: {
      view: view({ leader: undefined, failover: switchover('pg3'), tags: { pg3: { nofailover: true } } }),
      peers: [peer('pg3', { mayLead: false })],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'the leader that a switchover takes over from leads again when nobody did for 11 s',
    seen: {
      view: view({ leader: undefined, failover: '{"leader":"pg2"}' }),
      leaderlessMs: 11_000,
      peers: [],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'a member of an older timeline has more WAL: it parted from us, and has no say',
    seen: { view: noLeader, server: running({ timeline: 2 }), peers: [peer('pg3', { walPosition: 9000n })] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'the only standby left is on an older timeline than the history says: it waits and says why',
    seen: { view: view({ leader: undefined, history: '[[1,900,"x"]]' }) },
    rule: 'race-stay-back',
    actions: [],
    says: /my timeline 1 is behind the cluster's timeline 2 \(check_timeline: somebody else has newer data/,
  },
  {
    situation: 'a primary tagged nofailover finds its key gone: it takes it again',
    seen: { view: noLeader, server: primary, self: { ...self, tags: { nofailover: true } }, peers: [] },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'a standby tagged nofailover finds no leader: it follows whoever comes',
    seen: { view: noLeader, self: { ...self, tags: { nofailover: true } } },
    rule: 'race-stay-back',
    actions: [],
    says: /^following a different leader because I am not allowed to promote$/,
  },
  {
    situation: 'an acquire whose answer was lost put the key on our lease: take it up, not back',
    seen: { view: view({ leader: 'pg2', leaderLease: 77n }), acquired: 'unknown' },
    rule: 'reattach-leader',
    actions: ['reattach-leader'],
  },
  {
    situation: 'the storage of the leader is gone: it stops calling itself primary as it gives the key away',
    seen: { view: ledByUs(), lease: holding, server: down({ dataDirectory: 'unreadable' }) },
    remembers: { role: 'primary' },
    rule: 'data-directory-unreadable',
    actions: ['release-leader'],
  },
  {
    situation: 'storage does not answer while the server is down: it may be empty, nothing is started on it',
    seen: { server: down({ dataDirectory: 'unknown', trouble: 'the storage hangs' }) },
    rule: 'data-directory-silent',
    actions: [],
  },
  {
    situation:
      'storage of the leader does not answer while its server is down: it tries to come back in place',
    seen: { view: ledByUs(), lease: holding, server: down({ dataDirectory: 'unknown' }) },
    remembers: { role: 'primary' },
    rule: 'restart-in-place',
    actions: ['start primary of nobody'],
  },
  {
    situation: 'the same when the lease has run out: nothing is started on it either',
    seen: {
      view: ledByUs(),
      lease: { ...holding, leftMs: 0 },
      server: down({ dataDirectory: 'unknown', trouble: 'the storage hangs' }),
    },
    rule: 'data-directory-silent',
    actions: [],
  },
  {
    situation: 'copying the leader failed a moment ago: wait before the next attempt',
    seen: { server: down({ dataDirectory: 'empty' }), systemId: undefined },
    remembers: { failedStarts: 2, nextStartAtMs: 1_000_400 },
    rule: 'wait-to-start',
    actions: [],
  },
  {
    situation: 'the member that began to make the cluster is gone: say what a person can do',
    seen: {
      view: view({ leader: undefined, initialize: '', members: [] }),
      server: down({ dataDirectory: 'empty' }),
      systemId: undefined,
    },
    rule: 'wait-for-bootstrap',
    actions: [],
    says: /delete the key `initialize`/,
  },
  {
    situation: 'the leader’s start has taken longer than primary_start_timeout: ask who could take over',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: down({ process: 'starting' }),
      task: { kind: 'start', startedAtMs: 0, says: 'starting as primary' },
      silentMs: 301_000,
    },
    rule: 'ask-heirs',
    actions: ['ask-peers'],
  },
  {
    situation: 'somebody can take over from a leader whose start takes too long: end the start and give way',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: down({ process: 'starting' }),
      task: { kind: 'start', startedAtMs: 0, says: 'starting as primary' },
      silentMs: 301_000,
      peers: [peer('pg1')],
    },
    rule: 'give-way',
    actions: ['cancel-task', 'demote immediate release'],
  },
  {
    situation: 'nobody can take over from a leader whose start takes too long: it goes on starting',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: down({ process: 'starting' }),
      task: { kind: 'start', startedAtMs: 0, says: 'starting as primary' },
      silentMs: 301_000,
      peers: [peer('pg1', { isReachable: false })],
    },
    rule: 'task-runs',
    actions: [],
  },
  {
    situation:
      'who could take over is on an older timeline than the history says: the leader goes on starting',
    seen: {
      view: ledByUs({ history: '[[1,900,"x"]]' }),
      lease: holding,
      server: down({ process: 'starting' }),
      silentMs: 301_000,
      peers: [peer('pg1', { timeline: 1 }), peer('pg3', { timeline: undefined })],
    },
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'the same with check_timeline off: give way',
    seen: {
      view: ledByUs({ history: '[[1,900,"x"]]' }),
      lease: holding,
      config: config({ check_timeline: false }),
      server: down({ process: 'starting' }),
      silentMs: 301_000,
      peers: [peer('pg1', { timeline: 1 })],
    },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'primary_start_timeout is 0 and somebody can take over: no restart in place',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: down(),
      config: config({ primary_start_timeout: 0 }),
      peers: [peer('pg1')],
    },
    remembers: { role: 'primary' },
    rule: 'give-way',
    actions: ['release-leader'],
  },
  {
    situation: 'the leader’s server was started three times within a minute and is down again: give way',
    seen: { view: ledByUs(), lease: holding, server: down(), peers: [peer('pg1')] },
    remembers: { role: 'primary', restartsAtMs: [960_000, 970_000, 980_000] },
    rule: 'give-way',
    actions: ['release-leader'],
  },
  {
    situation: 'the leader’s server hangs for longer than a lease: give way',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: { ...primary, facts: undefined, isAnswering: false },
      silentMs: 31_000,
      peers: [peer('pg1')],
    },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation:
      'the leader’s storage hangs for longer than a lease, so not even its processes can be told: give way',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: { ...primary, process: 'unknown', facts: undefined, isAnswering: false },
      silentMs: 31_000,
      peers: [peer('pg1')],
    },
    rule: 'give-way',
    actions: ['demote immediate release'],
  },
  {
    situation: 'the leader’s server is full and answers with errors: it stays leader',
    seen: {
      view: ledByUs(),
      lease: holding,
      server: { ...primary, facts: undefined, isAnswering: true },
      silentMs: 500_000,
    },
    rule: 'leader-without-facts',
    actions: [],
  },
  {
    situation: 'primary_race_backoff: the key is gone but WAL still arrives: put the race off',
    seen: { view: noLeader, config: config({ primary_race_backoff: 30 }), leaderlessMs: 12_000 },
    remembers: { putOff: { position: 900n, atMs: 985_000 } },
    rule: 'race-put-off',
    actions: [],
    says: /wal position moved since last heart beat loop/,
  },
  {
    situation: 'primary_race_backoff: for one turn the race is put off in any case',
    seen: { view: noLeader, config: config({ primary_race_backoff: 30 }) },
    rule: 'race-put-off',
    actions: [],
  },
  {
    situation: 'primary_race_backoff: no more WAL has arrived for a turn: race',
    seen: { view: noLeader, config: config({ primary_race_backoff: 30 }), leaderlessMs: 12_000, peers: [] },
    remembers: { putOff: { position: 1000n, atMs: 985_000 } },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'primary_race_backoff: its time is over: race though WAL still arrives',
    seen: { view: noLeader, config: config({ primary_race_backoff: 30 }), leaderlessMs: 31_000, peers: [] },
    remembers: { putOff: { position: 900n, atMs: 985_000 } },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'primary_race_backoff: in a standby cluster WAL comes from elsewhere: race at once',
    seen: {
      view: noLeader,
      config: config({ primary_race_backoff: 30, standby_cluster: { host: '10.9.0.1' } }),
      peers: [],
    },
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
]

for (const row of rows) test(row.situation, () => follows(row))
