// A proxy that was stopped (a paused machine, a long stall) and goes on: what its evidence no longer covers must not pass.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { Stand } from './proxy-rig.ts'
import { ask, login, loginTls, query, startSession } from './proxy-wire.ts'

const stand = await Stand.open({ after }, { members: 2 })
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
  // Both kinds wait in the proxy's sockets while it sleeps: answers of the old leader, and work for it.
  ask(writing, 'INSERT INTO kept VALUES (777)')
  const waiting = await startSession(stand.write)
  stand.letGo()
  await waitFor('the lease to end', { withinMs: 30_000 }, async () => {
    return (await stand.etcd.value('/service/pgsql/leader')) === undefined
  })
  pg2.lead(2)
  await stand.lead('pg2')
  await sleep(2000)
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
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  ask(client, "SELECT pg_sleep(0.3), 'in time'")
  await stand.proxy.server.freeze()
  await sleep(2000)
  stand.proxy.server.thaw()
  await client.untilText('in time')
  assert.equal(client.ends, 0)
})
