// Accounts, allow lists, certificates and headers of the REST server, on our agent and on the real Patroni.

import { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { testRestAccess } from '../support/rest-access.ts'

// Both run before the first test is declared: when that is over, and no other is known yet, everything is removed.
const ours = await startCluster({ after }, { etcd: 1, members: ['pgherd'], proxies: 0 })
const theirs = await startCluster({ after }, { etcd: 1, members: ['patroni'], proxies: 0 })

testRestAccess(ours, 'pgherd')
testRestAccess(theirs, 'patroni')
