// Calls that a cluster in this or that state refuses, on our agents and on the real Patroni.

import { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { testRestRefusals } from '../support/rest-refusals.ts'

// Both run before the first test is declared: when that is over, and no other is known yet, everything is removed.
const ours = await startCluster({ after }, { etcd: 1, members: ['pgherd', 'pgherd'], proxies: 0 })
const theirs = await startCluster(
  { after },
  { etcd: 1, members: ['patroni', 'patroni'], proxies: 0, dcs: { retry_timeout: 2 } },
)

testRestRefusals(ours.cluster, 'pgherd')
testRestRefusals(theirs.cluster, 'patroni')
