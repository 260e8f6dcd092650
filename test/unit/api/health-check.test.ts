import assert from 'node:assert/strict'
import test from 'node:test'
import type { AgentStatus } from '../../../src/api/agent-port.ts'
import { believable, healthCheck, liveness, readiness } from '../../../src/api/health-check.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import {
  leaderStatus,
  replicaStatus,
  standbyFacts,
  threeMembers,
  viewOf,
} from '../../support/agent-status.ts'

/** Every path that anybody calls, and some that nobody should. */
const paths = [
  ...['/', '/primary', '/master', '/read-write', '/leader', '/standby-leader', '/standby_leader', '/replica'],
  ...['/read-only', '/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous', '/quorum'],
  ...['/read-only-quorum', '/async', '/asynchronous', '/health', '/patroni', '/cluster', '/liveness'],
  ...['/nonsense', '/sync/x', '*'],
]

const primaryFamily = ['/', '/primary', '/master', '/read-write', '/leader']
const readOnlyFamily = ['/read-only', '/read-only-sync', '/read-only-synchronous', '/read-only-quorum']
const asynchronous = ['/replica', '/read-only', '/async', '/asynchronous', '/health']

function synced(mode: unknown): Partial<AgentStatus> {
  return {
    view: viewOf({ ...threeMembers, sync: '{"leader":"pg1","quorum":0,"sync_standby":"PG2"}' }),
    config: dynamicConfig({ synchronous_mode: mode as string }, true),
  }
}
const standbyCluster = { config: dynamicConfig({ standby_cluster: { host: 'elsewhere' } }, true) }

const situations: readonly (readonly [string, AgentStatus, readonly string[]])[] = [
  ['the leader', leaderStatus(), [...primaryFamily, ...readOnlyFamily, '/health']],
  [
    'a leader that does not load balance',
    leaderStatus({ tags: { noloadbalance: true } }),
    [...primaryFamily, ...readOnlyFamily, '/health'],
  ],
  ['a leader whose lease ran out', leaderStatus({ leaseLeftMs: 0 }), ['/health']],
  [
    'the holder of the key while it promotes',
    replicaStatus({ leaseLeftMs: 1 }),
    [...primaryFamily, ...readOnlyFamily, ...asynchronous],
  ],
  ['a replica', replicaStatus(), asynchronous],
  ['a replica with noloadbalance', replicaStatus({ tags: { noloadbalance: true } }), ['/health']],
  ['a replica with nofailover', replicaStatus({ tags: { nofailover: true } }), asynchronous],
  ['a replica that starts', replicaStatus({ state: 'starting', facts: undefined }), []],
  ['a replica without etcd', replicaStatus({ view: undefined }), ['/replica', '/read-only', '/health']],
  [
    'a synchronous standby',
    replicaStatus(synced('on')),
    [
      '/replica',
      '/read-only',
      '/sync',
      '/synchronous',
      '/read-only-sync',
      '/read-only-synchronous',
      '/health',
    ],
  ],
  [
    'a quorum standby',
    replicaStatus(synced('quorum')),
    ['/replica', '/read-only', '/quorum', '/read-only-quorum', '/health'],
  ],
  [
    'a paused primary without etcd',
    leaderStatus({ view: undefined, isPaused: true, leaseLeftMs: 0 }),
    [...primaryFamily, '/read-only', '/health'],
  ],
  [
    'a primary without etcd that is not paused',
    leaderStatus({ view: undefined, leaseLeftMs: 0 }),
    ['/health'],
  ],
  [
    'the leader of a standby cluster',
    replicaStatus({ ...standbyCluster, role: 'standby_leader', leaseLeftMs: 9 }),
    ['/leader', '/standby-leader', '/standby_leader', ...readOnlyFamily, '/health'],
  ],
  [
    'a primary that is about to become the leader of a standby cluster',
    leaderStatus({ ...standbyCluster }),
    [...primaryFamily, ...readOnlyFamily, '/health'],
  ],
  ['a stopped server', replicaStatus({ state: 'stopped', role: 'demoted', facts: undefined }), []],
]

for (const [what, status, good] of situations) {
  test(`${what} answers 200 on ${good.length === 0 ? 'nothing' : good.join(' ')}`, () => {
    const found = paths.filter(path => healthCheck(path, new URLSearchParams(), status) === 200)
    assert.deepEqual(
      found,
      paths.filter(path => good.includes(path)),
    )
  })
}

const matching: readonly (readonly [string, 200 | 503])[] = [
  ['/my-primary-check', 200],
  ['/leader/anything', 200],
  ['/standby-leader-or-primary', 503],
  ['/primary-and-replica', 200],
  ['/read-only-something', 200],
  ['/sync-something', 503],
]
for (const [path, want] of matching) {
  test(`on the leader, ${path} matches by substring in the fixed order: ${want}`, () => {
    assert.equal(healthCheck(path, new URLSearchParams(), leaderStatus()), want)
  })
}

const ahead = { view: viewOf({ ...threeMembers, status: `{"optime":${0x3000000 + 32 * 1024}}` }) }
const heard = { facts: { ...standbyFacts, latestEndLsn: BigInt(0x3000000 + 64 * 1024) } }
const queries: readonly (readonly [string, string, AgentStatus, 200 | 503])[] = [
  ['/replica', 'lag=32768', replicaStatus(ahead), 200],
  ['/replica', 'lag=32767', replicaStatus(ahead), 503],
  ['/replica', 'lag=32kB', replicaStatus(ahead), 200],
  ['/replica', 'lag=1MB', replicaStatus(ahead), 200],
  ['/replica', 'lag=junk', replicaStatus(ahead), 200],
  ['/replica', 'lag=32kB', replicaStatus({ ...ahead, ...heard }), 503],
  ['/read-only', 'lag=1', replicaStatus(ahead), 503],
  ['/async', 'lag=1', replicaStatus(ahead), 503],
  ['/health', 'lag=1', replicaStatus(ahead), 200],
  ['/primary', 'lag=1', leaderStatus(ahead), 200],
  ['/replica', 'replication_state=streaming', replicaStatus(), 200],
  ['/replica', 'replication_state=in+archive+recovery', replicaStatus(), 503],
  ['/replica', 'tag_zone=a', replicaStatus({ tags: { zone: 'a' } }), 200],
  ['/replica', 'tag_zone=b', replicaStatus({ tags: { zone: 'a' } }), 503],
  ['/replica', 'tag_zone=a', replicaStatus(), 503],
  ['/replica', 'tag_big=true', replicaStatus({ tags: { big: true } }), 200],
  ['/replica', 'tag_big=True', replicaStatus({ tags: { big: true } }), 503],
  ['/replica', 'tag_rank=7', replicaStatus({ tags: { rank: 7 } }), 200],
  ['/replica', 'tag_rank=7&tag_zone=b', replicaStatus({ tags: { rank: 7, zone: 'a' } }), 503],
  ['/replica', 'tag_rank=7&tag_rank=8', replicaStatus({ tags: { rank: 7 } }), 200],
  // Built-in ones that are false are not there, for others and for a check alike.
  ['/replica', 'tag_nosync=false', replicaStatus({ tags: { nosync: false } }), 503],
  ['/replica', 'tag_clonefrom=true', replicaStatus({ tags: { clonefrom: true } }), 200],
  ['/replica', 'tag_big=false', replicaStatus({ tags: { big: false } }), 200],
  ['/health', 'tag_zone=b', replicaStatus({ tags: { zone: 'a' } }), 503],
  ['/primary', 'tag_zone=b', leaderStatus({ tags: { zone: 'a' } }), 200],
  ['/leader', 'tag_zone=b', leaderStatus(), 200],
  ['/read-only', 'tag_zone=b', leaderStatus(), 503],
]
for (const [path, query, status, want] of queries) {
  test(`${path}?${query} on ${status.name} with tags ${JSON.stringify(status.tags)} is ${want}`, () => {
    assert.equal(healthCheck(path, new URLSearchParams(query), status), want)
  })
}

test('liveness gives a primary one ttl and others two, and says yes while paused', () => {
  const next = 10_000
  const rows: readonly (readonly [AgentStatus, number, 200 | 503])[] = [
    [leaderStatus({ nextTurnAtMs: next }), next + 29_999, 200],
    [leaderStatus({ nextTurnAtMs: next }), next + 30_000, 503],
    [replicaStatus({ nextTurnAtMs: next }), next + 59_999, 200],
    [replicaStatus({ nextTurnAtMs: next }), next + 60_000, 503],
    [replicaStatus({ nextTurnAtMs: next, isPaused: true }), next + 999_999, 200],
  ]
  for (const [status, now, want] of rows) assert.equal(liveness(status, now), want)
})

const close = { view: viewOf({ ...threeMembers, status: `{"optime":${0x3000000 + 2 * 1024 * 1024}}` }) }
const ready: readonly (readonly [string, string, AgentStatus, 200 | 503])[] = [
  ['the leader', '', leaderStatus(), 200],
  ['a streaming replica', '', replicaStatus(), 200],
  [
    'a replica from the archive',
    '',
    replicaStatus({ facts: { ...standbyFacts, replicationState: 'in archive recovery' } }),
    503,
  ],
  ['a replica that starts', '', replicaStatus({ state: 'starting' }), 503],
  ['a replica 2 MB behind', '', replicaStatus(close), 503],
  ['a replica 2 MB behind', 'lag=3MB', replicaStatus(close), 200],
  [
    'a replica 2 MB behind, all of it received',
    'lag=1kB&mode=write',
    replicaStatus({ ...close, facts: { ...standbyFacts, receivedLsn: BigInt(0x3000000 + 2 * 1024 * 1024) } }),
    200,
  ],
  ['a replica that knows of no leader position', '', replicaStatus({ view: undefined }), 503],
  [
    'a replica that knows of no leader position but has given its word to a leader without etcd',
    '',
    replicaStatus({ view: undefined, isFailsafeActive: true }),
    200,
  ],
]
for (const [what, query, status, want] of ready) {
  test(`readiness of ${what}${query === '' ? '' : ` with ${query}`} is ${want}`, () => {
    assert.equal(readiness(new URLSearchParams(query), status), want)
  })
}

test('a replica that nobody looked at for a whole ttl is not recommended any more', () => {
  const status = replicaStatus({ takenAtMs: 1_000 })
  const check = (nowMs: number) => healthCheck('/replica', new URLSearchParams(), believable(status, nowMs))
  assert.deepEqual([check(31_000), check(31_001)], [200, 503])
  const leader = believable(leaderStatus({ takenAtMs: 1_000 }), 99_000)
  assert.equal(healthCheck('/primary', new URLSearchParams(), leader), 200)
})
