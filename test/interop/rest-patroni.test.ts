// The table of REST answers against Debian's Patroni 3.0.2: rows that it does not have yet are marked in the table.

import { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { tableTags, testRestTable } from '../support/rest-table.ts'

const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: ['patroni', 'patroni'],
    proxies: 0,
    dcs: { retry_timeout: 2 },
    overrides: { tags: tableTags },
  },
)

testRestTable(cluster, 'patroni')
