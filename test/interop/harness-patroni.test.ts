// The harness's cluster with nothing of ours in it: Debian's Patroni 3.0.2 and HAProxy, through the death of the leader.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { Cluster } from '../../src/demo/cluster.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const cluster = await Cluster.create({
  layout: new LoopbackLayout(work.data, work.logs),
  program: work.program,
  etcd: 1,
  members: ['patroni', 'patroni', 'patroni'],
  proxies: 0,
  haproxy: { intervalMs: 250, fall: 2, rise: 1 },
  dcs: { retry_timeout: 2 },
  parameters: { fsync: 'off', synchronous_standby_names: 'ANY 1 (*)' },
})
work.defer(() => cluster.remove())
await cluster.start()

test('Patroni 3.0.2: three members stream from the leader and HAProxy reaches it', async () => {
  const leader = await cluster.leader()
  assert.equal(leader.name, 'pg1')
  assert.ok(cluster.haproxy)
  const { write, read } = cluster.haproxy
  // HAProxy believes every server to be up until its first checks are over.
  await waitFor('the write port to lead to the leader', { withinMs: 5_000 }, async note => {
    const address = await serverAddress(write)
    note(address)
    return address === leader.host.address
  })
  const replicas = (await cluster.replicas()).map(replica => replica.host.address)
  await waitFor('the read port to lead to a replica', { withinMs: 5_000 }, async note => {
    const address = await serverAddress(read)
    note(address)
    return replicas.includes(address)
  })
})

test('Patroni 3.0.2: the leader host killed, another member leads, and the old one comes back as a replica', async () => {
  const old = await cluster.leader()
  await old.host.kill()
  const leader = await cluster.leader({ not: [old] })
  assert.notEqual(leader, old)
  await old.agent.start()
  await cluster.complete()
  assert.equal((await old.status()).role, 'replica')
})

async function serverAddress(target: Parameters<typeof queryOnce>[0]): Promise<string> {
  const [row] = await queryOnce<{ address: string }>(target, 'SELECT host(inet_server_addr()) AS address')
  return row?.address ?? 'nothing'
}
