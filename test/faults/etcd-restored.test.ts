// etcd comes back from an older backup: its revisions are smaller, and what it says of the leader is out of date.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 3, members: 3, proxies: 2, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('etcd restored from an older snapshot that names another leader: agents and proxies follow the new truth', async t => {
  const first = await cluster.leader()
  const snapshot = path.join(work.data, 'etcd.snapshot')
  await cluster.etcd.snapshot(snapshot)
  const body = JSON.stringify({ leader: first.name })
  const answer = await first.rest('/switchover', {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(30_000),
  })
  assert.equal(answer.code, 200, answer.body)
  await cluster.leader({ not: [first] })
  await cluster.complete()
  const witness = await Witness.start(cluster)
  const restoredMs = performance.now()
  await cluster.etcd.restore(snapshot)
  const leader = await cluster.leader({ withinMs: 60_000 })
  await witness.writesAgain(performance.now())
  await cluster.complete(60_000)
  const report = await witness.finish(restoredMs)
  t.diagnostic(`${leader.name} leads; outage ${seconds(report.outage.ms)}`)
  assertSafe(report)
  for (const proxy of cluster.proxies) {
    const log = await readFile(proxy.server.logFile, 'utf8')
    assert.match(log, /etcd was restored or replaced/, `${proxy.name} says so`)
    const [row] = await waitFor('the write port to reach the leader', { withinMs: 30_000 }, async () => {
      const { queryOnce } = await import('../../src/demo/sql.ts')
      return queryOnce<{ address: string }>(proxy.write, 'SELECT host(inet_server_addr()) AS address')
    })
    assert.equal(row?.address, leader.host.address)
  }
})
