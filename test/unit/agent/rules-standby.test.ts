// A cluster that follows another one: what its leader does, what its members do, and that nobody is ever promoted.

import assert from 'node:assert/strict'
import test from 'node:test'
import { decide, standbyRules } from '../../../src/agent/decide.ts'
import { compare } from '../../../src/agent/race.ts'
import type { Snapshot } from '../../../src/agent/snapshot.ts'
import {
  config,
  down,
  facts,
  holding,
  ledByUs,
  peer,
  running,
  sender,
  settled,
  snapshot,
  sync,
  view,
} from './scene.ts'
import { describe, follows, type Row } from './table.ts'

const NOW_MS = 1_000_000
const ttl30 = { ttl: 30 }
const standby = config({ ...ttl30, standby_cluster: { host: '10.9.0.1', port: 5433 } })
const archive = config({ ...ttl30, standby_cluster: { restore_command: 'cp /a/%f %p' } })
const REMOTE = '10.9.0.1:5433'
const roles = { pg1: 'standby_leader' }
const others = view({ roles })
const ours = ledByUs({ roles: { pg1: 'replica', pg2: 'standby_leader' } })
const primary = running({ role: 'primary' })
const deaf = running({ replicationState: undefined })
/** pg2 leads this standby cluster and follows the remote one. */
const leads = (changes: Partial<Snapshot> = {}): Partial<Snapshot> => ({
  nowMs: NOW_MS,
  config: standby,
  view: ours,
  lease: holding,
  isFollowingLeader: false,
  isFollowingRemote: true,
  ...changes,
})
/** pg1 does, and pg2 follows it. */
const member = (changes: Partial<Snapshot> = {}): Partial<Snapshot> => ({
  nowMs: NOW_MS,
  config: standby,
  view: others,
  ...changes,
})
const clean = { cleanAgainst: -100n }
const diverged = { kind: 'diverged', at: 900n, localEnd: 1000n } as const
const unknown = { kind: 'unknown', why: 'no answer' } as const

const rows: readonly Row[] = [
  {
    situation: 'the standby leader streams: nothing to do',
    seen: leads(),
    rule: 'no-action-standby-leader',
    actions: [],
    says: /^no action\. I am \(pg2\), the standby leader with the lock$/,
  },
  {
    situation:
      'the key is ours and the server follows somebody else: it is compared with the remote cluster first',
    seen: leads({ isFollowingRemote: false }),
    rule: 'compare-with-remote',
    actions: [`check-divergence ${REMOTE}`],
  },
  {
    situation: "its history is the remote cluster's: it follows",
    seen: leads({ isFollowingRemote: false, divergence: { kind: 'none' } }),
    rule: 'follow-remote',
    actions: [`follow ${REMOTE}`],
  },
  {
    situation: 'the remote cluster does not answer: it is waited for',
    seen: leads({ isFollowingRemote: false, divergence: unknown }),
    rule: 'wait-for-remote',
    actions: [],
  },
  {
    situation:
      'it does not answer, and our history was compared in an earlier term: it is followed all the same',
    seen: leads({ isFollowingRemote: false, divergence: unknown }),
    remembers: { cleanAgainst: -99n },
    rule: 'follow-remote',
    actions: [`follow ${REMOTE}`],
  },
  {
    situation: 'it was asked a moment ago: it is not asked again yet',
    seen: leads({ isFollowingRemote: false }),
    remembers: { comparedAtMs: NOW_MS - 2_999 },
    rule: 'wait-for-remote',
    actions: [],
  },
  {
    situation: 'the remote cluster went another way: the standby leader is rewound from there',
    seen: leads({ divergence: diverged, server: deaf }),
    rule: 'rewind',
    actions: [`rewind ${REMOTE}`],
  },
  {
    situation: 'nothing arrives for 10 s: the remote cluster is asked for the WAL',
    seen: leads({ server: deaf }),
    remembers: {
      ...clean,
      standStill: {
        epoch: -100n,
        position: 1000n,
        sinceMs: NOW_MS - 10_000,
        askedAtMs: undefined,
        isWalGone: false,
      },
    },
    rule: 'check-wal',
    actions: ['check-wal'],
  },
  {
    situation: 'by the archive alone there is nothing to compare, and nobody to stream from',
    seen: leads({ config: archive, server: running({ replicationState: 'in archive recovery' }) }),
    rule: 'no-action-standby-leader',
    actions: [],
  },
  {
    situation: 'a standby leader that is down starts as a standby of the remote cluster',
    seen: leads({ server: down() }),
    remembers: { ...clean, role: 'primary' },
    rule: 'start-following',
    actions: [`start replica of ${REMOTE}`],
  },
  {
    situation: 'it is compared before it starts when nobody has in this term',
    seen: leads({ server: down() }),
    rule: 'compare-with-remote',
    actions: [`check-divergence ${REMOTE}`],
  },
  {
    situation: 'a standby leader that does not start gives the key away',
    seen: leads({ server: down() }),
    remembers: { ...clean, failedStarts: 3 },
    rule: 'leader-cannot-start',
    actions: ['release-leader'],
  },
  {
    situation: 'the section was added: the primary with the key demotes the cluster',
    seen: leads({ server: primary }),
    rule: 'demote-cluster',
    actions: ['demote-cluster'],
  },
  {
    situation: 'a primary without the key stops at once',
    seen: member({ server: primary }),
    rule: 'demote-without-lock',
    actions: ['demote immediate keep'],
  },
  {
    situation: 'a standby cluster confirms nothing: the sync key goes',
    seen: leads({ view: ledByUs({ sync: sync('pg2', 'pg1') }) }),
    rule: 'standby-synchronous-off',
    actions: ['delete-sync'],
  },
  {
    situation: 'a switchover of the standby leader asks the candidates',
    seen: leads({ view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }) }),
    rule: 'ask-candidates',
    actions: ['ask-peers'],
  },
  {
    situation: 'and gives the key away without stopping the server',
    seen: leads({
      view: ledByUs({ failover: '{"leader":"pg2","member":"pg3"}' }),
      server: running({
        senders: [sender('pg3')],
      }),
      peers: [peer('pg3')],
    }),
    rule: 'standby-switchover',
    actions: ['release-leader'],
  },
  {
    situation: 'the agent of a standby leader is started again: it takes its key up',
    seen: leads({ lease: { ...holding, hold: undefined }, view: ledByUs({ leaderLease: 5n, roles }) }),
    remembers: { isSettled: false },
    rule: 'reattach-leader',
    actions: ['reattach-leader'],
  },
  {
    situation: 'a member follows the standby leader: nothing to do',
    seen: member(),
    remembers: clean,
    rule: 'no-action-replica',
    actions: [],
  },
  {
    situation:
      'a member that follows nobody yet is compared with the remote cluster, not with the standby leader',
    seen: member({ isFollowingLeader: false }),
    rule: 'compare-with-remote',
    actions: [`check-divergence ${REMOTE}`],
  },
  {
    situation: 'the remote cluster does not answer: who was compared before follows a new standby leader',
    seen: member({ isFollowingLeader: false, divergence: unknown }),
    rule: 'follow',
    actions: ['follow pg1'],
  },
  {
    situation: 'who was compared with nobody waits for it',
    seen: member({ isFollowingLeader: false, divergence: unknown }),
    remembers: { cleanAgainst: undefined },
    rule: 'wait-to-compare',
    actions: [],
  },
  {
    situation: 'a member that has parted is rewound from the remote cluster',
    seen: member({ isFollowingLeader: false, divergence: diverged }),
    rule: 'rewind',
    actions: [`rewind ${REMOTE}`],
  },
  {
    situation: 'nobody leads: the healthiest takes the key and stays a standby',
    seen: member({ view: view({ leader: undefined, roles: {} }), peers: [peer('pg1'), peer('pg3')] }),
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'nobody leads and the server is down: it starts alone, whatever it was',
    seen: member({ view: view({ leader: undefined }), server: down() }),
    remembers: { role: 'primary' },
    rule: 'start-alone',
    actions: ['start replica of nobody'],
  },
  {
    situation:
      'nobody leads, and a rewound server waits for WAL before it comes up: the remote cluster has it',
    seen: member({ view: view({ leader: undefined }), server: down({ process: 'starting' }) }),
    remembers: clean,
    rule: 'follow-while-starting',
    actions: [`follow ${REMOTE}`],
  },
  {
    situation: 'it follows the remote cluster already: it is left alone',
    seen: member({
      view: view({ leader: undefined }),
      server: down({ process: 'starting' }),
      isFollowingRemote: true,
    }),
    remembers: clean,
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'its history was compared with nobody: it takes no WAL of the remote cluster before that',
    seen: member({ view: view({ leader: undefined }), server: down({ process: 'starting' }) }),
    remembers: { cleanAgainst: undefined },
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'it was compared with a leader of this cluster, when that followed nobody: the same',
    seen: member({ view: view({ leader: undefined }), server: down({ process: 'starting' }) }),
    remembers: { cleanAgainst: 100n },
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'a member that may not lead leaves the remote cluster’s slot to one that may',
    seen: member({
      view: view({ leader: undefined }),
      server: down({ process: 'starting' }),
      self: { ...snapshot().self, tags: { nofailover: true } },
    }),
    remembers: clean,
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'a cluster that follows archives alone has nobody to point it to',
    seen: member({
      config: archive,
      view: view({ leader: undefined }),
      server: down({ process: 'starting' }),
    }),
    remembers: clean,
    rule: 'server-is-starting',
    actions: [],
  },
  {
    situation: 'check_timeline is about histories of its own: here it keeps nobody back',
    seen: member({
      view: view({ leader: undefined, history: '[[1,900,"x"]]' }),
      peers: [],
    }),
    rule: 'acquire-leader',
    actions: ['acquire-leader'],
  },
  {
    situation: 'an empty directory in a scope that nobody initialized: a copy of the remote cluster',
    seen: {
      config: standby,
      view: view({ leader: undefined, initialize: undefined, members: [] }),
      server: down({ dataDirectory: 'empty' }),
      systemId: undefined,
    },
    rule: 'bootstrap',
    actions: ['bootstrap'],
    says: /a standby leader from \(10\.9\.0\.1:5433\)/,
  },
  {
    situation: 'nobody leads and the directory is empty: the remote cluster has everything',
    seen: {
      config: standby,
      view: view({ leader: undefined }),
      server: down({ dataDirectory: 'empty' }),
      systemId: undefined,
    },
    rule: 'clone-remote',
    actions: [`clone ${REMOTE}`],
  },
  {
    situation: 'paused, the standby leader carries on',
    seen: leads({ config: config({ pause: true, standby_cluster: { host: '10.9.0.1', port: 5433 } }) }),
    rule: 'no-action-standby-leader',
    actions: [],
  },
  {
    situation: 'paused, a cluster is not demoted',
    seen: leads({
      config: config({ pause: true, standby_cluster: { host: '10.9.0.1' } }),
      server: primary,
    }),
    rule: 'paused-as-primary',
    actions: [],
  },
  {
    situation: 'paused, nothing is rewound',
    seen: leads({
      config: config({ pause: true, standby_cluster: { host: '10.9.0.1' } }),
      divergence: diverged,
      server: deaf,
    }),
    rule: 'paused-diverged',
    actions: [],
  },
  {
    situation: 'the section is gone: the standby leader is promoted',
    seen: leads({ config: config(ttl30), isFollowingLeader: false }),
    remembers: clean,
    rule: 'promote',
    actions: ['promote'],
  },
  {
    situation: 'and its members compare with it before they follow it, in the same term',
    seen: { config: config(ttl30), isFollowingLeader: false },
    remembers: clean,
    rule: 'check-divergence',
    actions: ['check-divergence pg1'],
  },
]
for (const row of rows) test(row.situation, () => follows(row))

test('no rule of a standby cluster promotes or starts a primary, whatever the server and the key are', () => {
  const servers = [running(), primary, deaf, down(), down({ process: 'starting' })]
  const views = [ours, others, view({ leader: undefined }), undefined]
  const leases = [holding, { ...holding, hold: undefined, leftMs: 0 }]
  for (const server of servers)
    for (const seenView of views)
      for (const lease of leases)
        for (const role of ['primary', 'replica', 'promoted', 'demoted'] as const)
          for (const divergence of [undefined, { kind: 'none' } as const, diverged, unknown]) {
            const seen = { config: standby, view: seenView, lease, server, divergence }
            const decision = decide(snapshot(seen), { ...settled, role })
            const bad = decision.actions.filter(
              action => action.kind === 'promote' || (action.kind === 'start' && action.as === 'primary'),
            )
            assert.deepEqual(bad.map(describe), [], `${decision.rule}: ${decision.says}`)
          }
  assert.ok(standbyRules.length > 10)
})

test('a member that may not lead keeps a standby cluster without leader for nobody, be its timeline later', () => {
  const later = peer('pg3', { timeline: 2, walPosition: 2000n, mayLead: false })
  const seen = snapshot(member({ view: view({ leader: undefined }) }))
  assert.equal(compare(seen, facts(), [later]).mayLead, true)
  assert.equal(compare({ ...seen, config: config({}) }, facts(), [later]).mayLead, false)
})
