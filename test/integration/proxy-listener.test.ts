// A listener with real clients: limits, the queue, refusals. Its servers are played by hand where a real one is no use.

import assert from 'node:assert/strict'
import test from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { gssRequest, sslRequest } from '../unit/proxy/bytes.ts'
import { arrived, first, inState, played, rig, untilEmpty } from './proxy-listener-rig.ts'
import { dial, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

test('clients wait in order while there is no backend, and go on in that order', async t => {
  const made = await rig(t)
  const clients: Watched[] = []
  for (let count = 1; count <= 5; count += 1) {
    clients.push(await startSession(made.address, `user${count}`))
    await inState(made, 'held', count)
  }
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  made.listener.release()
  const users: string[] = []
  for (let index = 0; index < 5; index += 1) {
    const guest = await server.guest(index)
    await guest.untilText('user\0')
    users.push(/user\0(\w+)/.exec(guest.text)?.[1] ?? '')
  }
  assert.deepEqual(arrived(users), ['user1', 'user2', 'user3', 'user4', 'user5'])
  assert.equal(made.totals.held, 5)
})

test('a client whose time is up is told why', async t => {
  const made = await rig(t, { holdMs: 100 })
  const client = await made.connect()
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P03')
  assert.match(client.text, /SFATAL\0.*Dcluster pgsql has no leader for 2.1 s\0/s)
  assert.deepEqual(client.errors, [])
  client.socket.end()
  await untilEmpty(made)
  assert.deepEqual(made.ended, ['no-backend'])
})

test('a client whose time is up is just closed when the file says so', async t => {
  const made = await rig(t, { holdMs: 100, afterHold: 'close' })
  const client = await made.connect()
  await client.untilEnd()
  assert.equal(client.bytes, 0)
})

test('a full queue refuses at once, and a client that hangs up makes room', async t => {
  const made = await rig(t, { heldMax: 2 })
  const [one] = [await made.connect(), await made.connect()]
  await inState(made, 'held', 2)
  const third = await made.connect()
  await third.untilEnd()
  assert.equal(sqlStateOf(third.text), '57P03')
  one?.socket.destroy()
  await waitFor('room', { withinMs: 20_000, everyMs: 5 }, () => made.listener.hold.size === 1)
  await made.connect()
  await inState(made, 'held', 2)
})

test('a client that asks for encryption and may not be answered in clear is closed', async t => {
  const made = await rig(t, { holdMs: 50 })
  for (const bytes of [sslRequest, gssRequest, Buffer.from([0x16, 3, 1])]) {
    const client = await dial(made.address)
    client.socket.write(bytes)
    await client.untilEnd()
    assert.deepEqual([client.bytes, client.errors], [0, []])
  }
})

test('with plain errors a client that asks for encryption gets N and then the error', async t => {
  const made = await rig(t, { holdMs: 50, plainErrors: true })
  const client = await dial(made.address)
  client.socket.write(gssRequest)
  await client.untilText('N')
  client.socket.write(sslRequest)
  await client.untilText('NN')
  client.socket.write(first)
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P03')
})

test('garbage and strangers are answered in the protocol and closed', async t => {
  const made = await rig(t)
  const client = await dial(made.address)
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '08P01')
})

test('a health checker that connects and leaves costs nothing', async t => {
  const made = await rig(t)
  for (let count = 0; count < 20; count += 1) (await dial(made.address)).socket.destroy()
  await waitFor('all to be seen', { withinMs: 20_000, everyMs: 5 }, () => made.ended.length === 20)
  assert.equal(made.listener.sessions.size, 0)
})

test('clients beyond the limit get 53300, one event is told, and a slot that is freed can be had', async t => {
  const made = await rig(t, { sessionsMax: 2 })
  const clients = [await made.connect(), await made.connect()]
  await inState(made, 'held', 2)
  for (let count = 0; count < 5; count += 1) {
    const late = await made.connect()
    await late.untilEnd()
    assert.equal(sqlStateOf(late.text), '53300')
    assert.match(late.text, /sorry, too many clients already/)
  }
  assert.equal(made.said.length, 1)
  assert.match(made.said[0] ?? '', /^listener write .* has reached its limit of 2 sessions/)
  clients[0]?.socket.destroy()
  await waitFor('a slot', { withinMs: 20_000, everyMs: 5 }, () => made.listener.sessions.size === 1)
  await made.connect()
  await inState(made, 'held', 2)
})

test('slots are given back exactly once, however sessions end', async t => {
  const made = await rig(t, { sessionsMax: 4 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  for (let round = 0; round < 5; round += 1) {
    const clients = [await made.connect(), await made.connect(), await made.connect(), await made.connect()]
    await inState(made, 'streaming', 4)
    const guests = server.guests.slice(-4)
    clients[0]?.socket.resetAndDestroy()
    guests[1]?.socket.resetAndDestroy()
    clients[2]?.socket.end()
    guests[2]?.socket.end()
    backend.cutAll('newer-epoch', 'pg2 took over')
    for (const { socket } of clients) socket.destroy()
    await untilEmpty(made)
    for (const { socket } of guests) socket.destroy()
  }
  assert.equal(made.ended.length, 20)
  assert.equal(backend.sessions.size, 0)
})
