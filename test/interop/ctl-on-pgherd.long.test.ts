// Every row of ctl's table on a cluster of our agents.

import { after } from 'node:test'
import { testCtlTable } from '../support/ctl-table.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 1, members: ['pgherd', 'pgherd'], proxies: 0 },
)

testCtlTable(cluster, work.program, 'pgherd', 'all')
