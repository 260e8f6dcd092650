// Without etcd: members through /cluster, the leader by its own answers, the timeline in place of the epoch's revision.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { stringify } from 'yaml'
import { freePort } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Stand } from './proxy-rig.ts'
import { login, query, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

const stand = await Stand.open({ after })
const [pg1, pg2] = [stand.member('pg1'), stand.member('pg2')]
const host = await stand.layout.host('proxy2')
stand.work.defer(() => host.remove())
const ports = [
  await freePort(host.address, 5000),
  await freePort(host.address, 6000),
  await freePort(host.address, 7000),
]
const [write, read, admin] = ports.map(port => ({ host: host.address, port }))
assert.ok(write !== undefined && read !== undefined && admin !== undefined)
const bind = ({ port }: { port: number }) => ({ bind: `${host.address}:${port}` })
const listeners = { write: bind(write), read: bind(read) }
// The seed is a replica: the leader is found through it.
const file = { scope: 'pgsql', patroni: [stand.member('pg3').origin], listeners, admin: bind(admin) }
await writeFile(host.path('proxy.yml'), stringify(file))
const proxy = host.server({
  name: 'proxy',
  command: [...stand.work.program, 'proxy', host.path('proxy.yml')],
})
await proxy.start()

async function who(client: Watched): Promise<string | undefined> {
  return /pg\d/.exec(await query(client, 'SELECT name FROM who'))?.[0]
}

async function greeted(address: { host: string; port: number }): Promise<Watched> {
  const client = await waitFor('the proxy to listen', { withinMs: 30_000 }, () => startSession(address))
  await client.until('the greeting', () => client.text.includes('Z'), 10_000)
  return client
}

test('members and leader are found through one member that is neither', async () => {
  pg1.lead()
  const client = await greeted(write)
  assert.equal(await who(client), 'pg1')
  const reader = await greeted(read)
  assert.match((await who(reader)) ?? '', /pg[23]/)
  for (const { socket } of [client, reader]) socket.destroy()
})

test('a primary on a newer timeline retires the older one, whatever that one says', async () => {
  const client = await login(write)
  pg2.lead(2)
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P01')
  const next = await greeted(write)
  assert.equal(await who(next), 'pg2')
  for (const { socket } of [client, next]) socket.destroy()
})

test('the older one gets nothing back when the newer falls silent', async () => {
  const client = await login(write)
  pg2.script.isSilent = true
  await client.untilEnd()
  const waiting = await startSession(write)
  await waitFor('the client to wait', { withinMs: 20_000 }, async () => {
    const response = await fetch(`http://${admin.host}:${admin.port}/status`)
    const status = (await response.json()) as { write: unknown; listeners: { held: number }[] }
    return status.write === null && status.listeners[0]?.held === 1
  })
  pg2.lead(2)
  await waiting.until('the greeting', () => waiting.text.includes('Z'))
  assert.equal(await who(waiting), 'pg2')
  for (const { socket } of [client, waiting]) socket.destroy()
})
