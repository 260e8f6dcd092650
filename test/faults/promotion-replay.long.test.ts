// A new leader with WAL that it cannot replay yet: a query on it stands in the way. It keeps the lead, and loses nothing.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientFor, endQuickly } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'

const ROWS = 1000
/** Longer than a promotion was once waited for. */
const HELD_MS = 75_000

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 2, proxies: 0, parameters: { max_standby_streaming_delay: '-1' } },
)

test('a promotion that has to replay for more than a minute keeps the key, and every acknowledged row is there', async t => {
  const old = await cluster.leader()
  const [next] = await cluster.replicas()
  assert.ok(next)
  await old.query('CREATE TABLE held (id int)')
  await old.query('CREATE TABLE kept (id int)')
  await waitFor('the tables to be there', { withinMs: 10_000 }, async () => {
    const [row] = await next.query<{ oid: string | null }>("SELECT to_regclass('kept') AS oid")
    return row?.oid !== null
  })
  const reader = clientFor(next.direct)
  await reader.connect()
  // Stops replay at the TRUNCATE: all that comes after it is received and waits.
  await reader.query('BEGIN; SELECT FROM held')
  await old.query('TRUNCATE held')
  await old.query(`INSERT INTO kept SELECT generate_series(1, ${ROWS})`)
  const [end] = await old.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
  await waitFor('all of it to be received', { withinMs: 10_000 }, async () => {
    const [row] = await next.query<{ all: boolean }>(
      `SELECT pg_last_wal_receive_lsn() >= '${end?.lsn}' AS all`,
    )
    return row?.all
  })
  await old.host.kill()
  const promotesMs = performance.now()
  await waitFor(
    'the other one to take the key',
    { withinMs: 30_000 },
    async () => (await cluster.leaderKey()) === next.name,
  )
  while (performance.now() - promotesMs < HELD_MS) {
    await sleep(2_000)
    assert.equal(await cluster.leaderKey(), next.name)
  }
  await endQuickly(reader)
  const leader = await cluster.leader({ withinMs: 30_000 })
  const tookMs = performance.now() - promotesMs
  assert.equal(leader, next)
  const [counted] = await next.query<{ count: string }>('SELECT count(*) FROM kept')
  assert.equal(Number(counted?.count), ROWS)
  t.diagnostic(`promoted ${(tookMs / 1000).toFixed(0)} s after the kill; all ${ROWS} rows are there`)
})
