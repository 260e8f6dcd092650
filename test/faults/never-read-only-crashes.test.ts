// Crashes of the leader's host under new connections: not one error 25006, ever.

import test, { after } from 'node:test'
import { loadThrough, startTlsCluster } from './new-connections.ts'

const cluster = await startTlsCluster({ after })

test('a new connection for every row through 5 crashes of the leader: zero errors 25006', async t => {
  const told = await loadThrough(cluster, 'crashes', async () => {
    const old = await cluster.leader()
    await old.host.kill()
    await cluster.leader({ not: [old] })
    await old.agent.start()
  })
  t.diagnostic(told)
})
