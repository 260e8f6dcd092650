// The same load as in the short run, but without a break: 50 new connections a second also while members come back.

import test, { after } from 'node:test'
import { crash, FULL, loadThrough, startTlsCluster, switchOver } from './new-connections.ts'

const cluster = await startTlsCluster({ after })

test('50 new connections a second without a break through 5 switchovers: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'switchovers', () => switchOver(cluster), FULL))
})

test('50 new connections a second without a break through 5 crashes of the leader: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'crashes', () => crash(cluster), FULL))
})
