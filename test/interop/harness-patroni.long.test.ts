// The harness with nothing of ours in the cluster: Debian's Patroni 3.0.2 and HAProxy, each on a host of its own, through
// the death and the isolation of the leader. Writer, checker and prober must see what really happens there.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { checkWrites } from '../../src/demo/checker.ts'
import { Prober, staleAcknowledgements } from '../../src/demo/prober.ts'
import { queryOnce, type SqlTarget } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster, network } = await startCluster(
  { after },
  {
    network: true,
    etcd: 1,
    members: ['patroni', 'patroni', 'patroni'],
    proxies: 0,
    haproxy: { intervalMs: 250, fall: 2, rise: 1 },
    dcs: { retry_timeout: 2 },
    parameters: { synchronous_standby_names: 'ANY 1 (*)' },
  },
)
assert.ok(cluster.haproxy)
const { write, read } = cluster.haproxy

test('Patroni 3.0.2: three members stream from the leader and HAProxy reaches it', async () => {
  const leader = await cluster.leader()
  assert.equal(leader.name, 'pg1')
  // HAProxy believes every server to be up until its first checks are over.
  await waitFor('the write port to lead to the leader', { withinMs: 20_000 }, async note => {
    const address = await serverAddress(write)
    note(address)
    return address === leader.host.address
  })
  const replicas = (await cluster.replicas()).map(replica => replica.host.address)
  await waitFor('the read port to lead to a replica', { withinMs: 20_000 }, async note => {
    const address = await serverAddress(read)
    note(address)
    return replicas.includes(address)
  })
})

test('Patroni 3.0.2: the leader host killed, writing comes back and no acknowledged row is lost', async t => {
  const old = await cluster.leader()
  await createWritesTable(sql => old.query(sql))
  const writer = Writer.start({ target: write, sessions: 2, ratePerSecond: 40 })
  const prober = await Prober.start(old, cluster.members)
  await waitFor('some rows', { withinMs: 20_000 }, () => writer.tally.acknowledged > 40)
  const killedMs = performance.now()
  await old.host.kill()
  const leader = await cluster.leader({ not: [old] })
  await waitFor('writing to come back', { withinMs: 20_000 }, () => writer.tally.latestMs > killedMs + 2_000)
  const tally = await writer.stop()
  const probes = await prober.stop()
  const verdict = await checkWrites((sql, values) => leader.query(sql, values), tally)
  t.diagnostic(`writer through HAProxy: ${JSON.stringify(tally.summary(tally.latestMs))}`)
  assert.deepEqual([verdict.missing, verdict.doubled], [[], []])
  assert.ok(tally.longestGap(tally.latestMs, killedMs).ms > 500, 'the fault must show')
  assert.deepEqual(staleAcknowledgements(probes), [])
  assert.ok(new Set(probes.map(probe => probe.timeline)).size === 2, 'both timelines were seen')
  await old.agent.start()
  await cluster.complete()
  assert.equal((await old.status()).role, 'replica')
})

test('Patroni 3.0.2: an isolated leader loses the key to another member and follows it after the heal', async () => {
  const old = await cluster.leader()
  const others = [...cluster.members, ...cluster.etcd.members]
    .map(part => part.host)
    .filter(host => host !== old.host)
  await network.isolate(old.host, others)
  await cluster.leader({ not: [old] })
  await network.heal()
  await cluster.complete()
})

async function serverAddress(target: SqlTarget): Promise<string> {
  const [row] = await queryOnce<{ address: string }>(target, 'SELECT host(inet_server_addr()) AS address')
  return row?.address ?? 'nothing'
}
