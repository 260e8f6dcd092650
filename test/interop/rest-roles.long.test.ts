// Checks and documents of a synchronous standby, of one that is left out and of a pause, on our agents and on the real Patroni.

import { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { testRestRoles } from '../support/rest-roles.ts'

// All clusters stand before the first test: when every test that is known has ended, the run is over.
const scenes = []
for (const keeper of ['pgherd', 'patroni'] as const) {
  const dcs = keeper === 'patroni' ? { dcs: { retry_timeout: 2 } } : {}
  const { cluster } = await startCluster(
    { after },
    { etcd: 1, members: [keeper, keeper], proxies: 0, ...dcs },
  )
  scenes.push({ cluster, keeper })
}

for (const { cluster, keeper } of scenes) testRestRoles(cluster, keeper)
