// etcd away for half a minute, with clients behind a proxy and clients on the old leader's own port.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

const TTL_MS = 5_000
/** An agent renews every sixth of the ttl. */
const RENEWED_EVERY_MS = TTL_MS / 6
const AWAY_MS = 30_000

const { cluster } = await startCluster(
  { after },
  { etcd: 3, members: 3, proxies: 1, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('etcd all down for 30 s: no commit after the lease may have ended, on any port, and service comes back', async t => {
  const witness = await Witness.start(cluster)
  const { prober } = witness
  const downMs = performance.now()
  await Promise.all(cluster.etcd.members.map(member => member.server.kill()))
  await new Promise(resolve => setTimeout(resolve, AWAY_MS))
  const during = prober.records.filter(record => record.atMs > downMs)
  // The last renewal may have been a whole interval before the members went: then the lease ends this early.
  const leaseMayEndMs = downMs - RENEWED_EVERY_MS + TTL_MS
  const onServers = during.filter(({ member }) => cluster.members.some(({ name }) => name === member))
  assert.ok(onServers.length > 0, 'the leader served on its own port while its lease was safe')
  const late = during.filter(record => record.atMs > leaseMayEndMs)
  const lastMs = during.at(-1)?.atMs ?? downMs
  t.diagnostic(
    `last commit ${seconds(lastMs - downMs)} after etcd went, the lease of 5 s may end ${seconds(leaseMayEndMs - downMs)} after it`,
  )
  assert.deepEqual(late, [], 'a commit was acknowledged after the lease may have ended')
  const backMs = performance.now()
  await Promise.all(cluster.etcd.members.map(member => cluster.etcd.startMember(member)))
  await cluster.leader({ withinMs: 60_000 })
  const firstMs = await witness.writesAgain(backMs)
  t.diagnostic(`first write ${seconds(firstMs - backMs)} after etcd was started again`)
  await cluster.complete(60_000)
  assertSafe(await witness.finish(backMs))
})
