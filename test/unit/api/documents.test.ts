import assert from 'node:assert/strict'
import test from 'node:test'
import { clusterDocument, historyDocument } from '../../../src/api/information.ts'
import { patroniMetrics } from '../../../src/api/metrics.ts'
import { statusDocument } from '../../../src/api/status-document.ts'
import { printSpacedJson } from '../../../src/cluster/spaced-json.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { leaderStatus, replicaStatus, threeMembers, viewOf } from '../../support/agent-status.ts'

test('the status of a primary has all fields in the known order', () => {
  assert.equal(
    printSpacedJson(statusDocument(leaderStatus({ tags: { clonefrom: true, zone: 'ü' } }))),
    '{"state": "running", "postmaster_start_time": "2026-11-24 04:05:06.123456+00:00", "role": "primary", ' +
      '"server_version": 150018, "xlog": {"location": 50332160}, "timeline": 3, "replication": [{"usename": "repl", ' +
      '"application_name": "pg2", "client_addr": "10.0.0.2", "state": "streaming", "sync_state": "async", ' +
      '"sync_priority": 0}], "dcs_last_seen": 1795000000, "tags": {"clonefrom": true, "zone": "\\u00fc"}, ' +
      '"database_system_identifier": "7254783641903459839", "patroni": {"version": "4.1.4", "scope": "main", ' +
      '"name": "pg1"}, "pgherd": {"version": "0.1.0", "lease_left_ms": 25000}}',
  )
})

test('tags that are false are left out of the status, as of the member key', () => {
  const tags = { clonefrom: false, nofailover: false, nosync: false, zone: 'a' }
  assert.deepEqual(statusDocument(leaderStatus({ tags }))['tags'], { zone: 'a' })
  assert.equal(statusDocument(leaderStatus({ tags: { noloadbalance: false } }))['tags'], undefined)
})

test('the status of a standby shows what it received and replayed', () => {
  const document = statusDocument(replicaStatus({ isPaused: true, isRestartPending: true }))
  assert.deepEqual(document['xlog'], {
    received_location: 0x3000100n,
    replayed_location: 0x3000000n,
    replayed_timestamp: '2026-11-24 05:00:00.000001+00:00',
    paused: false,
  })
  assert.deepEqual(
    [
      document['replication_state'],
      document['pause'],
      document['pending_restart'],
      document['cluster_unlocked'],
    ],
    ['streaming', true, true, undefined],
  )
})

test('a server that does not answer leaves out what only it knows', () => {
  const document = statusDocument(
    replicaStatus({ state: 'stopped', role: 'demoted', facts: undefined, view: undefined }),
  )
  assert.deepEqual(Object.keys(document), [
    'state',
    'role',
    'cluster_unlocked',
    'dcs_last_seen',
    'patroni',
    'pgherd',
  ])
})

test('a synchronous standby says so, and a voter says so by another name', () => {
  const view = viewOf({ ...threeMembers, sync: '{"leader":"pg1","sync_standby":"pg2"}' })
  assert.equal(statusDocument(replicaStatus({ view }))['sync_standby'], true)
  const config = dynamicConfig({ synchronous_mode: 'quorum' }, true)
  const voter = statusDocument(replicaStatus({ view, config }))
  assert.deepEqual([voter['sync_standby'], voter['quorum_standby']], [undefined, true])
})

test('/cluster lists members by name with positions of all but the leader', () => {
  const view = viewOf({
    ...threeMembers,
    failover: '{"leader":"pg1","member":"pg2","scheduled_at":"2030-01-01T10:00:00+00:00"}',
  })
  assert.equal(
    printSpacedJson(clusterDocument(view, 'main')),
    '{"members": [{"name": "pg1", "role": "leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", ' +
      '"host": "10.0.0.1", "port": 5432, "timeline": 3}, {"name": "pg2", "role": "replica", "state": "streaming", ' +
      '"api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 3, ' +
      '"receive_lsn": "0/3000000", "receive_lag": 0, "replay_lsn": "0/2FFFD78", "replay_lag": 648, "lsn": "0/3000000", ' +
      '"lag": 0}, {"name": "pg3", "role": "replica", "state": "starting", "api_url": "http://10.0.0.3:8008/patroni", ' +
      '"host": "10.0.0.3", "port": 5432, "receive_lsn": "unknown", "receive_lag": "unknown", "replay_lsn": "unknown", ' +
      '"replay_lag": "unknown", "lsn": "unknown", "lag": "unknown"}], "scope": "main", "scheduled_switchover": ' +
      '{"at": "2030-01-01T10:00:00+00:00", "from": "pg1", "to": "pg2"}}',
  )
})

test('/cluster names synchronous standbys, a standby leader and pause', () => {
  const sync = '{"leader":"pg1","sync_standby":"pg2"}'
  const roles = (keys: Record<string, string>) =>
    (clusterDocument(viewOf({ ...threeMembers, ...keys }), 'main')['members'] as { role: string }[]).map(
      row => row.role,
    )
  assert.deepEqual(roles({ sync }), ['leader', 'sync_standby', 'replica'])
  assert.deepEqual(roles({ sync, config: '{"synchronous_mode":"quorum"}' }), [
    'leader',
    'quorum_standby',
    'replica',
  ])
  assert.deepEqual(roles({ config: '{"standby_cluster":{"host":"x"}}' }), [
    'standby_leader',
    'replica',
    'replica',
  ])
  assert.equal(clusterDocument(viewOf({ config: '{"pause":true}' }), 'main')['pause'], true)
})

test('/history is the array of the key', () => {
  const history =
    '[[1,50331800,"no recovery target specified","2026-11-24T05:00:00+00:00","pg2"],[2,9007199254740993,"x"]]'
  assert.equal(
    printSpacedJson(historyDocument(viewOf({ history }))),
    '[[1, 50331800, "no recovery target specified", "2026-11-24T05:00:00+00:00", "pg2"], [2, 9007199254740993, "x"]]',
  )
  assert.deepEqual(historyDocument(viewOf({})), [])
})

/** All names of the contract; each must be there once, with its type. */
const metricNames: readonly (readonly [string, 'gauge' | 'counter'])[] = [
  ['patroni_version', 'gauge'],
  ['patroni_postgres_running', 'gauge'],
  ['patroni_postmaster_start_time', 'gauge'],
  ['patroni_primary', 'gauge'],
  ['patroni_xlog_location', 'counter'],
  ['patroni_standby_leader', 'gauge'],
  ['patroni_replica', 'gauge'],
  ['patroni_sync_standby', 'gauge'],
  ['patroni_quorum_standby', 'gauge'],
  ['patroni_xlog_received_location', 'counter'],
  ['patroni_xlog_replayed_location', 'counter'],
  ['patroni_xlog_replayed_timestamp', 'gauge'],
  ['patroni_xlog_paused', 'gauge'],
  ['patroni_postgres_streaming', 'gauge'],
  ['patroni_postgres_in_archive_recovery', 'gauge'],
  ['patroni_postgres_server_version', 'gauge'],
  ['patroni_cluster_unlocked', 'gauge'],
  ['patroni_failsafe_mode_is_active', 'gauge'],
  ['patroni_failsafe_mode_enabled', 'gauge'],
  ['patroni_failsafe_member', 'gauge'],
  ['patroni_postgres_timeline', 'gauge'],
  ['patroni_dcs_last_seen', 'gauge'],
  ['patroni_pending_restart', 'gauge'],
  ['patroni_is_paused', 'gauge'],
  ['patroni_postgres_state', 'gauge'],
  ['patroni_failover_priority', 'gauge'],
]

test('every metric that dashboards know is there once with its type', () => {
  const text = patroniMetrics(replicaStatus())
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(match => `${match[1]} ${match[2]}`)
  assert.deepEqual(types.sort(), metricNames.map(([name, type]) => `${name} ${type}`).sort())
  for (const [name] of metricNames)
    assert.match(text, new RegExp(`^${name}\\{scope="main",name="pg2"\\} \\S+$`, 'm'))
})

const metricRows: readonly (readonly [string, string, boolean])[] = [
  ['patroni_version', '040104', true],
  ['patroni_primary', '1', true],
  ['patroni_primary', '0', false],
  ['patroni_xlog_location', '50332160', true],
  ['patroni_xlog_received_location', '50331904', false],
  ['patroni_xlog_replayed_timestamp', '1795496400', false],
  ['patroni_postgres_streaming', '1', false],
  ['patroni_postgres_state', '5', false],
  ['patroni_dcs_last_seen', '1795000000', true],
  ['patroni_failover_priority', '1', true],
]
for (const [name, value, isLeader] of metricRows) {
  test(`${name} of a ${isLeader ? 'leader' : 'replica'} is ${value}`, () => {
    const text = patroniMetrics(isLeader ? leaderStatus() : replicaStatus())
    assert.equal(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1], value)
  })
}

test('while the server is down its start is told as 0, and no metric is missing', () => {
  const down = patroniMetrics(replicaStatus({ facts: undefined, state: 'stopped' }))
  assert.match(down, /^patroni_postmaster_start_time\{scope="main",name="pg2"\} 0$/m)
  const names = (text: string) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(match => match[1])
  assert.deepEqual(names(down), names(patroniMetrics(replicaStatus())))
})

test('a label cannot break out of its quotes', () => {
  assert.match(patroniMetrics(replicaStatus({ scope: 'a"b\\c\nd' })), /scope="a\\"b\\\\c\\nd"/)
})
