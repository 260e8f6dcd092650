// More than in the short run: forty sessions of each kind wait while nobody leads, and 50 new connections a second are offered
// without a break, also while members come back.

import test, { after } from 'node:test'
import { CROWD, crash, FULL, loadThrough, startTlsCluster, switchOver } from './new-connections.ts'

const BUSY = { around: CROWD, between: FULL }

const cluster = await startTlsCluster({ after })

test('50 new connections a second without a break through 5 switchovers: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'switchovers', () => switchOver(cluster), BUSY))
})

test('50 new connections a second without a break through 5 crashes of the leader: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'crashes', () => crash(cluster), BUSY))
})
