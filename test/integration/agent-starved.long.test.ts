// A replica whose leader has thrown away the WAL that it needs, on real servers: PostgreSQL goes on asking for ever.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 2,
    proxies: 0,
    // The leader keeps no more than it must, so that the test need not write much.
    dcs: { postgresql: { use_slots: false, parameters: { wal_keep_size: '16MB', max_wal_size: '32MB' } } },
  },
)
const leader = await cluster.leader()
const [replica] = await cluster.replicas()
assert.ok(replica)
const word = async () => (await replica.status())['pgherd'] as Readonly<Record<string, string>>

test('a replica that was away for too long says what it lacks, in its log, as an event and by REST', async t => {
  await replica.agent.stop(20_000)
  await leader.query('CREATE TABLE ballast (t text)')
  for (let round = 0; round < 5; round += 1) {
    await leader.query("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    await leader.query('SELECT pg_switch_wal()')
    await leader.query('CHECKPOINT')
  }
  await replica.agent.start()
  const beganMs = performance.now()
  await waitFor('its word', { withinMs: 60_000 }, async note => {
    const { rule, says } = await word()
    note(`${rule}: ${says}`)
    return rule === 'wal-gone'
  })
  t.diagnostic(`told after ${Math.round(performance.now() - beganMs)} ms`)
  assert.match((await word())['says'] ?? '', /no longer has the WAL from .* until it is reinitialized/)
  const events = (await replica.rest('/pgherd/events?count=20')).body
  assert.match(String(events), /wal-gone/)
  assert.match(
    await readFile(replica.agent.logFile, 'utf8'),
    /no longer has the WAL from .* until it is reinitialized/,
  )
  assert.match(
    (await replica.rest('/metrics')).body,
    /^pgherd_agent_turn_seconds_count\{rule="wal-gone"\} [1-9]/m,
  )
})

test('where that is allowed, it sets its data aside and copies the leader anew', async () => {
  await changeConfig(cluster, { pgherd: { rebuild_starved_replicas: true } })
  await waitFor('the copy to stream', { withinMs: 60_000 }, async note => {
    const status = await replica.status()
    note(JSON.stringify(status))
    return status['replication_state'] === 'streaming'
  })
  const [row] = await replica.query<{ n: string }>('SELECT count(*)::text AS n FROM ballast')
  assert.equal(row?.n, '100000')
})
