import assert from 'node:assert/strict'
import test from 'node:test'
import { printStore } from '../../../src/ctl/dcs.ts'
import type { EndpointReport } from '../../../src/dcs/report.ts'

const well: EndpointReport = {
  endpoint: '10.0.0.4:2379',
  isLearned: false,
  isPreferred: true,
  fault: undefined,
  version: '3.4.23',
  clusterId: '42',
  isRaftLeader: true,
  raftTerm: 7n,
  revision: 1234n,
  dbBytes: 2_621_440n,
  readMs: 1.234,
}
const away: EndpointReport = {
  endpoint: '10.0.0.5:2379',
  isLearned: true,
  isPreferred: false,
  fault: 'No connection established',
  version: undefined,
  clusterId: undefined,
  isRaftLeader: false,
  raftTerm: undefined,
  revision: undefined,
  dbBytes: undefined,
  readMs: undefined,
}
const leases = [
  { key: 'leader (pg1)', leaseId: 0x694d7a3bn, grantedSeconds: 30, leftSeconds: 27 },
  { key: 'members/pg2', leaseId: 0n, grantedSeconds: undefined, leftSeconds: undefined },
]

test('endpoints and leases are two tables for people', () => {
  assert.equal(
    printStore('pgsql', [well, away], leases, 'pretty'),
    `+ Store of pgsql: etcd cluster 42 --------------------------+--------+------+----------+----------+---------+---------+
| Endpoint      | Known from    | Health                    | Raft   | Term | Revision | Size MiB | Read ms | Version |
+---------------+---------------+---------------------------+--------+------+----------+----------+---------+---------+
| 10.0.0.4:2379 | configuration | answers, in use           | leader |    7 |     1234 |      2.5 |     1.2 | 3.4.23  |
| 10.0.0.5:2379 | member list   | No connection established |        |      |          |          |         |         |
+---------------+---------------+---------------------------+--------+------+----------+----------+---------+---------+
+--------------+----------+-------+--------+
| Key          | Lease    | TTL s | Left s |
+--------------+----------+-------+--------+
| leader (pg1) | 694d7a3b |    30 |     27 |
| members/pg2  | none     |       |        |
+--------------+----------+-------+--------+
`,
  )
})

test('and one object for programs', () => {
  const printed = JSON.parse(printStore('pgsql', [well], leases, 'json'))
  assert.deepEqual(Object.keys(printed), ['Cluster', 'Endpoints', 'Leases'])
  assert.deepEqual(printed.Endpoints[0]['Health'], 'answers, in use')
  assert.deepEqual(printed.Leases[0], { Key: 'leader (pg1)', Lease: '694d7a3b', 'TTL s': 30, 'Left s': 27 })
})

test('two etcd clusters behind one list of endpoints stand in the title', () => {
  const other = { ...well, endpoint: '10.0.0.6:2379', clusterId: '43' }
  assert.match(printStore('pgsql', [well, other], [], 'pretty'), /etcd cluster 42 AND 43/)
  assert.match(printStore('pgsql', [well], [], 'tsv'), /^Endpoint\tKnown from\t/)
})
