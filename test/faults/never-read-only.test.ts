// Changes of the leader, planned ones and crashes of its host, under new connections: not one error 25006, ever.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { loadThrough, startTlsCluster } from './new-connections.ts'

const cluster = await startTlsCluster({ after })

test('a new connection for every row through 5 switchovers: zero errors 25006', async t => {
  const told = await loadThrough(cluster, 'switchovers', async () => {
    const old = await cluster.leader()
    const body = JSON.stringify({ leader: old.name })
    const answer = await old.rest('/switchover', {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(30_000),
    })
    assert.equal(answer.code, 200, answer.body)
    await cluster.leader({ not: [old] })
  })
  t.diagnostic(told)
})

test('a new connection for every row through 5 crashes of the leader: zero errors 25006', async t => {
  const told = await loadThrough(cluster, 'crashes', async () => {
    const old = await cluster.leader()
    await old.host.kill()
    await cluster.leader({ not: [old] })
    await old.agent.start()
  })
  t.diagnostic(told)
})
