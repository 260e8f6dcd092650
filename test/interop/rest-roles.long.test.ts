// Checks and documents of a synchronous standby, of one that is left out and of a pause, on our agents and on the real Patroni.

import { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { testRestRoles } from '../support/rest-roles.ts'

for (const keeper of ['pgherd', 'patroni'] as const) {
  const { cluster } = await startCluster(
    { after },
    {
      etcd: 1,
      members: [keeper, keeper],
      proxies: 0,
      ...(keeper === 'patroni' ? { dcs: { retry_timeout: 2 } } : {}),
    },
  )
  testRestRoles(cluster, keeper)
}
