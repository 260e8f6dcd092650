// Power off on the leader's host: the clients' view through a proxy, and every server's own port.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { checkWrites } from '../../src/demo/checker.ts'
import { Prober, staleAcknowledgements } from '../../src/demo/prober.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster } = await startCluster(
  { after },
  { network: true, etcd: 3, members: 3, proxies: 1, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('the leader host killed, writing comes back and no acknowledged row is lost', async t => {
  const old = await cluster.leader()
  await createWritesTable(sql => old.query(sql))
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  const writer = Writer.start({ target: proxy.write, sessions: 2, ratePerSecond: 40 })
  const prober = await Prober.start(old, cluster.members)
  await waitFor('some rows', { withinMs: 20_000 }, () => writer.tally.acknowledged > 40)
  const killedMs = performance.now()
  await old.host.kill()
  const leader = await cluster.leader({ not: [old] })
  await waitFor('writing to come back', { withinMs: 60_000 }, () => writer.tally.latestMs > killedMs + 2_000)
  const tally = await writer.stop()
  const probes = await prober.stop()
  const verdict = await checkWrites((sql, values) => leader.query(sql, values), tally)
  t.diagnostic(`writer: ${JSON.stringify(tally.summary(tally.latestMs))}`)
  assert.deepEqual([verdict.missing, verdict.doubled], [[], []])
  assert.deepEqual(staleAcknowledgements(probes), [])
  assert.equal(tally.count('25006'), 0)
  await old.agent.start()
  await cluster.complete()
})
