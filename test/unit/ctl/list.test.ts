import assert from 'node:assert/strict'
import test from 'node:test'
import { parseHistory } from '../../../src/cluster/history.ts'
import { printHistory } from '../../../src/ctl/history.ts'
import { type ListOptions, printClusters } from '../../../src/ctl/list.ts'
import { threeMembers, viewOf } from '../../support/agent-status.ts'

const once: ListOptions = {
  format: 'pretty',
  extended: false,
  timestamp: false,
  topology: false,
  everySeconds: undefined,
}

function shown(keys: Readonly<Record<string, string>>, options: Partial<ListOptions> = {}): string {
  return `\n${printClusters([['main', viewOf({ ...threeMembers, ...keys })]], { ...once, ...options })}`
}

const busy = {
  status: '{"optime":83886080}',
  config: '{"pause":true,"synchronous_mode":true}',
  sync: '{"leader":"pg1","sync_standby":"pg2"}',
  failover: '{"leader":"pg1","member":"pg2","scheduled_at":"2030-01-01T10:00:00+00:00"}',
  'members/pg2':
    '{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica","receive_lsn":50331648,"replay_lsn":50331000,"replication_state":"streaming","timeline":3,"tags":{"clonefrom":true,"zone":"no"}}',
  'members/pg3':
    '{"conn_url":"postgres://10.0.0.2:5433/postgres","state":"running","role":"replica","xlog_location":83886000,"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"}},"tags":{"replicatefrom":"pg2"}}',
}

test('a plain cluster is a plain table', () => {
  assert.equal(
    shown({}),
    `
+ Cluster: main (7254783641903459839) ----+----+-------------+-----+------------+-----+
| Member | Host     | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+----------+---------+-----------+----+-------------+-----+------------+-----+
| pg1    | 10.0.0.1 | Leader  | running   |  3 |             |     |            |     |
| pg2    | 10.0.0.2 | Replica | streaming |  3 |   0/3000000 |   0 |  0/2FFFD78 |   0 |
| pg3    | 10.0.0.3 | Replica | starting  |    |     unknown |     |    unknown |     |
+--------+----------+---------+-----------+----+-------------+-----+------------+-----+
`,
  )
})

test('tags, pending restarts, shared hosts, pause and a schedule all show', () => {
  assert.equal(
    shown(busy),
    `
+ Cluster: main (7254783641903459839) --+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+--------------------+
| Member | Host          | Role         | State     | TL | Receive LSN | Lag | Replay LSN | Lag | Pending restart | Pending restart reason    | Tags               |
+--------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+--------------------+
| pg1    | 10.0.0.1:5432 | Leader       | running   |  3 |             |     |            |     |                 |                           |                    |
+--------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+--------------------+
| pg2    | 10.0.0.2:5432 | Sync Standby | streaming |  3 |   0/3000000 |  32 |  0/2FFFD78 |  32 |                 |                           | clonefrom: true    |
|        |               |              |           |    |             |     |            |     |                 |                           | zone: 'no'         |
+--------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+--------------------+
| pg3    | 10.0.0.2:5433 | Replica      | running   |    |     unknown |     |  0/4FFFFB0 |   0 | *               | max_connections: 100->200 | replicatefrom: pg2 |
+--------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+--------------------+
 Maintenance mode: on
 Switchover scheduled at: 2030-01-01T10:00:00+00:00
                    from: pg1
                      to: pg2
`,
  )
})

test('a voter of a quorum is a Quorum Standby, the leader of a standby cluster a Standby Leader', () => {
  const role = (name: string, keys: Readonly<Record<string, string>>) =>
    shown(keys)
      .split('\n')
      .find(line => line.startsWith(`| ${name} `))
      ?.split('|')[3]
      ?.trim()
  const quorum = {
    config: '{"synchronous_mode":"quorum"}',
    sync: '{"leader":"pg1","quorum":1,"sync_standby":"pg2"}',
  }
  assert.deepEqual(
    [role('pg1', quorum), role('pg2', quorum), role('pg3', quorum)],
    ['Leader', 'Quorum Standby', 'Replica'],
  )
  const standby = { config: '{"standby_cluster":{"host":"far"}}' }
  assert.deepEqual([role('pg1', standby), role('pg2', standby)], ['Standby Leader', 'Replica'])
})

test('how far a copy is stands below the table', () => {
  const copying = (clone: unknown) => {
    const value = JSON.stringify({
      state: 'creating replica',
      role: 'replica',
      pgherd: { version: '1', clone },
    })
    return shown({ ...busy, 'members/pg3': value })
      .split('\n')
      .find(line => line.includes('is being copied'))
  }
  const MB = 1024 * 1024
  assert.equal(
    copying({ done_bytes: 12 * MB, total_bytes: 48 * MB, percent: 25 }),
    ' pg3 is being copied: 25 %, 12 MB of 48 MB',
  )
  assert.equal(copying({ done_bytes: 12 * MB }), ' pg3 is being copied: 12 MB')
  for (const odd of [undefined, 'text', {}, { done_bytes: 'x' }]) assert.equal(copying(odd), undefined)
})

test('the topology goes from the leader down, with tags on one line', () => {
  assert.equal(
    shown({ ...busy, failover: '{}', config: '{}' }, { topology: true }),
    `
+ Cluster: main (7254783641903459839) ---+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+-------------------------------+
| Member  | Host          | Role         | State     | TL | Receive LSN | Lag | Replay LSN | Lag | Pending restart | Pending restart reason    | Tags                          |
+---------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+-------------------------------+
| pg1     | 10.0.0.1:5432 | Leader       | running   |  3 |             |     |            |     |                 |                           |                               |
| + pg2   | 10.0.0.2:5432 | Sync Standby | streaming |  3 |   0/3000000 |  32 |  0/2FFFD78 |  32 |                 |                           | {clonefrom: true, zone: 'no'} |
|   + pg3 | 10.0.0.2:5433 | Replica      | running   |    |     unknown |     |  0/4FFFFB0 |   0 | *               | max_connections: 100->200 | {replicatefrom: pg2}          |
+---------+---------------+--------------+-----------+----+-------------+-----+------------+-----+-----------------+---------------------------+-------------------------------+
`,
  )
})

test('members that replicate from each other in a ring are shown all the same', () => {
  const ring = {
    'members/pg2': '{"conn_url":"postgres://10.0.0.2:5432/postgres","tags":{"replicatefrom":"pg3"}}',
    'members/pg3': '{"conn_url":"postgres://10.0.0.3:5432/postgres","tags":{"replicatefrom":"pg2"}}',
  }
  const names = [...shown(ring, { topology: true }).matchAll(/^\| ([+ ]*pg\d)/gm)].map(match => match[1])
  assert.deepEqual(names, ['pg1', 'pg2', '+ pg3'])
})

test('a cluster without a leader has a topology too', () => {
  const view = viewOf({ ...threeMembers, leader: '' })
  assert.match(printClusters([['main', view]], { ...once, topology: true }), /\| pg1 /)
})

test('an unknown cluster has an empty table that says so', () => {
  assert.equal(
    `\n${printClusters([['none', viewOf({})]], once)}`,
    `
+ Cluster: none (uninitialized) ----+-------------+-----+------------+-----+
| Member | Host | Role | State | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+------+------+-------+----+-------------+-----+------------+-----+
+--------+------+------+-------+----+-------------+-----+------------+-----+
`,
  )
  assert.match(printClusters([['none', viewOf({ initialize: '' })]], once), /Cluster: none \(initializing\)/)
})

test('a title longer than the table is cut to it', () => {
  const [border = '', heading = ''] = printClusters([['x'.repeat(200), viewOf({})]], once).split('\n')
  assert.equal(border.length, heading.length)
  assert.ok(border.startsWith('+ Cluster: xxx') && border.endsWith('x+'))
})

test('-e shows the extra columns though nobody has a value', () => {
  assert.match(
    shown({}, { extended: true }),
    /\| Lag \| Pending restart \| Pending restart reason \| Scheduled restart \| Tags \|\n/,
  )
})

test('tsv has a heading once and tags on one line', () => {
  const clusters = [
    ['main', viewOf({ ...threeMembers, ...busy })],
    ['none', viewOf({})],
  ] as const
  assert.equal(
    printClusters(clusters, { ...once, format: 'tsv' }),
    'Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\tPending restart\tPending restart reason\tTags\n' +
      'main\tpg1\t10.0.0.1:5432\tLeader\trunning\t3\t\t\t\t\t\t\t\n' +
      "main\tpg2\t10.0.0.2:5432\tSync Standby\tstreaming\t3\t0/3000000\t32\t0/2FFFD78\t32\t\t\t{clonefrom: true, zone: 'no'}\n" +
      'main\tpg3\t10.0.0.2:5433\tReplica\trunning\t\tunknown\t\t0/4FFFFB0\t0\t*\tmax_connections: 100->200\t{replicatefrom: pg2}\n',
  )
})

test('json leaves out what is empty and keeps types', () => {
  assert.equal(
    shown({}, { format: 'json' }),
    '\n[{"Cluster": "main", "Member": "pg1", "Host": "10.0.0.1", "Role": "Leader", "State": "running", "TL": 3}, ' +
      '{"Cluster": "main", "Member": "pg2", "Host": "10.0.0.2", "Role": "Replica", "State": "streaming", "TL": 3, ' +
      '"Receive LSN": "0/3000000", "Receive Lag": 0, "Replay LSN": "0/2FFFD78", "Replay Lag": 0}, ' +
      '{"Cluster": "main", "Member": "pg3", "Host": "10.0.0.3", "Role": "Replica", "State": "starting", ' +
      '"Receive LSN": "unknown", "Replay LSN": "unknown"}]\n',
  )
})

test('yaml and yml are the same, with sorted keys and a blank line at the end', () => {
  const text = shown({ 'members/pg2': '', 'members/pg3': '' }, { format: 'yaml' })
  assert.match(text, /^\n- Cluster: main\n {2}Host: 10\.0\.0\.1\n {2}Member: pg1\n {2}Role: Leader\n/)
  assert.ok(text.endsWith('\n\n'))
  assert.equal(text, shown({ 'members/pg2': '', 'members/pg3': '' }, { format: 'yml' }))
})

test('history has one row for each switch, short lines padded', () => {
  const lines = parseHistory(
    '[[1,50331800,"no recovery target specified","2026-11-24T05:00:00+00:00","pg2"],[2,60331800,"x"]]',
  )
  assert.equal(
    `\n${printHistory(lines ?? [], 'pretty')}`,
    `
+----+----------+------------------------------+---------------------------+------------+
| TL |      LSN | Reason                       | Timestamp                 | New Leader |
+----+----------+------------------------------+---------------------------+------------+
|  1 | 50331800 | no recovery target specified | 2026-11-24T05:00:00+00:00 | pg2        |
|  2 | 60331800 | x                            |                           |            |
+----+----------+------------------------------+---------------------------+------------+
`,
  )
  assert.equal(printHistory([], 'json'), '[]\n')
  assert.equal(printHistory([], 'yaml'), '[]\n\n')
})
