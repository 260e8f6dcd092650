// A proxy that was stopped (a paused machine, a long stall) and goes on: what its evidence no longer covers must not pass.
// And etcd members that are stopped while the proxy goes on: they say nothing, and nothing says that they do.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { Stand } from './proxy-rig.ts'
import { ask, login, loginTls, query, startSession } from './proxy-wire.ts'

const FROZEN_MS = 10_000

const stand = await Stand.open({ after }, { members: 2, etcdMembers: 3 })
const pg1 = stand.member('pg1')
const pg2 = stand.member('pg2')

test('a proxy thawed after another was elected passes not one byte of the old epoch', async t => {
  await stand.settle('pg1', 3)
  const asking = await login(stand.write)
  const askingTls = await loginTls(stand.write)
  const writing = await login(stand.write)
  t.after(() => {
    for (const { socket } of [asking, askingTls, writing]) socket.destroy()
  })
  // The answers come while the proxy sleeps: after it was frozen, and before the lease has ended and two seconds more.
  for (const client of [asking, askingTls]) ask(client, "SELECT pg_sleep(3), 'late answer'")
  await sleep(200)
  await stand.proxy.server.freeze()
  const frozenAtMs = performance.now()
  // Both kinds wait in the proxy's sockets while it sleeps: answers of the old leader, and work for it.
  ask(writing, 'INSERT INTO kept VALUES (777)')
  const waiting = await startSession(stand.write)
  stand.letGo()
  await waitFor('the lease to end', { withinMs: 30_000 }, async () => {
    return (await stand.etcd.value('/service/pgsql/leader')) === undefined
  })
  pg2.lead(2)
  await stand.lead('pg2')
  await sleep(Math.max(0, frozenAtMs + FROZEN_MS - performance.now()))
  stand.proxy.server.thaw()
  await Promise.all([asking, askingTls, writing].map(client => client.untilEnd()))
  await waiting.until('the greeting', () => waiting.text.includes('Z'))
  assert.match(await query(waiting, 'SELECT name FROM who'), /pg2/)
  assert.doesNotMatch(asking.text, /late answer/)
  assert.equal(askingTls.bytes, 0)
  await sleep(200)
  const [row] = await pg1.query<{ count: string }>('SELECT count(*) FROM kept WHERE id = 777')
  assert.equal(row?.count, '0')
  waiting.socket.destroy()
})

test('a proxy thawed without any news cuts what its evidence no longer covers, before it hears anything', async t => {
  await stand.settle('pg1', 3)
  const writing = await login(stand.write)
  t.after(() => writing.socket.destroy())
  pg1.script.isSilent = true
  await sleep(1500)
  await Promise.all(stand.etcd.members.map(({ server }) => server.freeze()))
  t.after(() => {
    for (const { server } of stand.etcd.members) server.thaw()
  })
  await stand.proxy.server.freeze()
  ask(writing, 'INSERT INTO kept VALUES (888)')
  await sleep(5000)
  stand.proxy.server.thaw()
  await writing.untilEnd()
  await sleep(200)
  const [row] = await pg1.query<{ count: string }>('SELECT count(*) FROM kept WHERE id = 888')
  assert.equal(row?.count, '0')
})

test('a short stall within the evidence costs nothing', async t => {
  for (const { server } of stand.etcd.members) server.thaw()
  await stand.settle('pg1', 30)
  // The stores were frozen: what was heard of the key counts only when a whole read of it has come.
  await waitFor('evidence that outlasts the stall', { withinMs: 20_000 }, async note => {
    const { write } = await stand.status()
    note(JSON.stringify(write))
    return write?.takes_new === true && write.evidence_left_ms > 10_000
  })
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  ask(client, "SELECT pg_sleep(0.3), 'in time'")
  await stand.proxy.server.freeze()
  await sleep(2000)
  stand.proxy.server.thaw()
  await client.untilText('in time')
  assert.equal(client.ends, 0)
})

/** Changes the leader key by these etcd members alone; resolves to the time of the answer. */
async function nameLeader(name: string, endpoints: readonly string[]): Promise<number> {
  const scope = { namespace: '/service', scope: 'pgsql', clock: realClock, logger: silentLogger }
  const dcs = createEtcdDcs({ endpoints, ...scope })
  try {
    return await waitFor(`the key to name ${name}`, { withinMs: 15_000, everyMs: 50 }, async note => {
      const by = Deadline.in(realClock, 2_000)
      const { outcome } = await dcs.write([], [{ kind: 'put', key: 'leader', value: name }], by)
      note(outcome)
      return outcome === 'won' ? performance.now() : undefined
    })
  } finally {
    await dcs.close()
  }
}

test('each of three etcd members frozen in turn: the watch on another one tells at once who leads', async t => {
  // The store is looked at six times in a ttl: what cuts long before the next look came by a watch. With one stream it
  // would come when its silence is found out.
  const ttlSeconds = 120
  for (const frozen of stand.etcd.members) {
    await stand.settle('pg1', ttlSeconds)
    const client = await login(stand.write)
    t.after(() => client.socket.destroy())
    pg2.lead()
    // An election among the others would give a silent stream the time to be found out.
    while ((await stand.etcd.leader()) === frozen) await stand.etcd.moveLeader()
    await frozen.server.freeze()
    t.after(() => frozen.server.thaw())
    const others = stand.etcd.members.filter(member => member !== frozen)
    const namedMs = await nameLeader(
      'pg2',
      others.map(member => member.endpoint),
    )
    await client.untilEnd()
    const tookMs = client.endedAtMs - namedMs
    t.diagnostic(`${frozen.name} frozen: cut ${tookMs.toFixed(0)} ms after the answer to the change`)
    assert.ok(tookMs < 500, `took ${tookMs} ms`)
    frozen.server.thaw()
    await stand.etcd.ready()
  }
})
