// Changes of the leader, planned ones and crashes of its host, under new connections: not one error 25006, ever.

import test, { after } from 'node:test'
import { crash, loadThrough, startTlsCluster, switchOver } from './new-connections.ts'

const cluster = await startTlsCluster({ after })

test('a new connection for every row through 5 switchovers: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'switchovers', () => switchOver(cluster)))
})

test('a new connection for every row through 5 crashes of the leader: zero errors 25006', async t => {
  t.diagnostic(await loadThrough(cluster, 'crashes', () => crash(cluster)))
})
