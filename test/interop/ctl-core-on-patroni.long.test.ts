// Debian's patronictl 3.0.2 and ours, side by side, on a cluster of the real Patroni.

import { after } from 'node:test'
import { testCtlChanges } from '../support/ctl-changes.ts'
import { testCtlLeaders } from '../support/ctl-leaders.ts'
import { testCtlTable } from '../support/ctl-table.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 1, members: ['patroni', 'patroni'], proxies: 0, dcs: { retry_timeout: 2 } },
)

testCtlTable(cluster, work.program, 'patroni', 'core')
testCtlChanges(cluster, work.program, 'patroni')
testCtlLeaders(cluster, work.program, 'patroni')
