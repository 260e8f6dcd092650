// A leader whose server tells its agent nothing: it does not let the agent in, or it hangs.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import pg from 'pg'
import { endQuickly, queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'

const TTL_SECONDS = 5
const { cluster } = await startCluster({ after }, { etcd: 1, members: 2, proxies: 1 })
const [proxy] = cluster.proxies
assert.ok(proxy)
const spare = { user: 'spare', password: 'spare-secret' }

test('a server that does not let its agent in goes on serving the clients of the proxy, and keeps the lead', async t => {
  const leader = await cluster.leader()
  await leader.query(`CREATE ROLE spare SUPERUSER LOGIN PASSWORD '${spare.password}'`)
  const asSpare = (sql: string) => queryOnce({ ...leader.direct, ...spare }, sql)
  await asSpare('ALTER ROLE postgres NOLOGIN')
  await asSpare("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'")
  await waitFor('the member to say that it is told nothing', { withinMs: 20_000 }, async note => {
    const { state, pgherd } = await leader.status()
    note(JSON.stringify({ state, pgherd }))
    return state === 'unknown' && /not permitted to log in/.test(JSON.stringify(pgherd))
  })
  const untilMs = performance.now() + (TTL_SECONDS + 3) * 1000
  let served = 0
  let longestMs = 0
  while (performance.now() < untilMs) {
    const beganMs = performance.now()
    await queryOnce({ ...proxy.write, ...spare }, 'CREATE TEMPORARY TABLE t (id int)')
    longestMs = Math.max(longestMs, performance.now() - beganMs)
    served += 1
  }
  t.diagnostic(`${served} sessions one after the other, the longest took ${longestMs.toFixed(0)} ms`)
  assert.equal(await cluster.leaderKey(), leader.name)
  await asSpare('ALTER ROLE postgres LOGIN')
  await waitFor('the member to run again', { withinMs: 20_000 }, async () => {
    return (await leader.status()).state === 'running'
  })
})

/** In a session that waits as long as the proxy holds it; again while its time to wait ends first. */
async function createTable(name: string): Promise<void> {
  assert.ok(proxy)
  const target = { ...proxy.write, ...spare, database: 'postgres', connectionTimeoutMillis: 20_000 }
  const refusals = new Set<string>()
  await waitFor('a new session to write', { withinMs: 60_000 }, async note => {
    const client = new pg.Client(target)
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(`CREATE TABLE ${name} (id int)`)
      return true
    } catch (error) {
      note(String(error))
      refusals.add((error as { readonly code?: string }).code ?? String(error))
      return false
    } finally {
      await endQuickly(client)
    }
  })
  assert.deepEqual(
    [...refusals].filter(code => code !== '57P03'),
    [],
  )
}

test('a server that hangs: its member says so, new sessions wait, and go on when another one leads', async t => {
  const old = await cluster.leader()
  await cluster.complete()
  const beganMs = performance.now()
  await old.freezeServer()
  t.after(() => old.thawServer())
  await waitFor('the member to say that it is told nothing', { withinMs: 10_000 }, async note => {
    const { state, pgherd } = await old.status(2_000)
    note(JSON.stringify({ state, pgherd }))
    return state === 'unknown' && 'trouble' in (pgherd as object)
  })
  const toldMs = performance.now() - beganMs
  await waitFor('the proxy to hold new sessions', { withinMs: 10_000 }, async note => {
    const response = await fetch(`http://${proxy.host.address}:${proxy.ports.admin}/explain/${old.name}`)
    const text = await response.text()
    note(text)
    return /its agent gets no answer from its server/.test(text) && /: silent/.test(text)
  })
  const heldMs = performance.now() - beganMs
  await createTable('after_the_hang')
  const leader = await cluster.leader({ not: [old] })
  assert.notEqual(leader.name, old.name)
  t.diagnostic(
    `told after ${toldMs.toFixed(0)} ms, held after ${heldMs.toFixed(0)} ms, written by a new session after ${(performance.now() - beganMs).toFixed(0)} ms (ttl ${TTL_SECONDS} s)`,
  )
  await old.thawServer()
  await cluster.complete(120_000)
})
