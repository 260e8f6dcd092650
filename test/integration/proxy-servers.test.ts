// A listener's sessions and the servers that they go to: refusals, standbys, cancel requests, the stop.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostPort } from '../../src/cluster/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import {
  authOk,
  cancelRequest,
  errorMessage,
  keyData,
  message,
  parameter,
  ready,
} from '../unit/proxy/bytes.ts'
import { greeting, inState, played, rig, secret, untilEmpty } from './proxy-listener-rig.ts'
import { dial, Stage, sqlStateOf } from './proxy-wire.ts'

test('a session still connecting when its leader is retired goes to the next one, and its client sees no error', async t => {
  const made = await rig(t)
  const full = await fullBacklog(t)
  const old = new Backend('pg1', full, realClock)
  made.backends = [old]
  const client = await made.connect()
  await inState(made, 'connecting', 1)
  assert.equal(old.sessions.size, 1)
  const { stage: server, backend } = await played(t, 'pg2')
  made.backends = []
  assert.equal(old.cutAll('newer-epoch', 'pg2 took over').begun, 0)
  await inState(made, 'held', 1)
  made.backends = [backend]
  made.listener.release()
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  assert.deepEqual([old.sessions.size, client.ends, client.errors], [0, 0, []])
})

test('a session still connecting when its server leaves the pool goes to another one, also where nobody may wait', async t => {
  const made = await rig(t, { holdMs: 0, pool: 'replica' })
  const gone = new Backend('pg2', await fullBacklog(t), realClock)
  const { stage: server, backend } = await played(t, 'pg3')
  made.backends = [gone, backend]
  const client = await made.connect()
  await inState(made, 'connecting', 1)
  made.backends = [backend]
  assert.equal(gone.cutAll('left-pool', 'pg2 has left the pool').begun, 0)
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  assert.deepEqual([gone.sessions.size, client.ends, client.errors], [0, 0, []])
})

test('a session still connecting when the end of its leader is announced waits for the next one', async t => {
  const made = await rig(t)
  const full = await fullBacklog(t)
  const old = new Backend('pg1', full, realClock)
  made.backends = [old]
  const client = await made.connect()
  await inState(made, 'connecting', 1)
  const { stage: server, backend } = await played(t, 'pg2')
  made.backends = []
  old.holdIdle(true)
  await inState(made, 'held', 1)
  assert.deepEqual([old.sessions.size, old.logins.isAnyUnderWay()], [0, false])
  made.backends = [backend]
  made.listener.release()
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  assert.deepEqual([client.ends, client.errors], [0, []])
})

test('a session that begins while the end of its leader is announced is not read once it is idle', async t => {
  const made = await rig(t, { holdMs: 0 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  backend.holdIdle(true)
  const client = await made.connect()
  const guest = await server.guest(0)
  await guest.untilText('user')
  assert.equal(backend.logins.isAnyUnderWay(), true)
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  await waitFor('the key of its login', { withinMs: 20_000 }, () => !backend.logins.isAnyUnderWay())
  guest.clear()
  client.socket.write(message('Q', 'held'))
  // A second one, whose start is behind those bytes on every path.
  const other = await made.connect()
  const otherGuest = await server.guest(1)
  await otherGuest.untilText('user')
  assert.equal(guest.bytes, 0)
  backend.holdIdle(false)
  await guest.untilText('held')
  for (const { socket } of [client, other]) socket.destroy()
})

test('a leader that refuses the connection is told as evidence, and the client waits on', async t => {
  const made = await rig(t)
  const closed = await Stage.open()
  closed.close()
  made.backends = [new Backend('pg1', closed.address, realClock)]
  const client = await made.connect()
  await inState(made, 'held', 1)
  assert.match(made.refused.join(), /^pg1: connect ECONNREFUSED/)
  assert.equal(client.bytes, 0)
})

test('a replica that refuses is passed over at once', async t => {
  const made = await rig(t, { pool: 'replica' })
  const closed = await Stage.open()
  closed.close()
  const { stage: server, backend } = await played(t, 'pg2')
  made.backends = [new Backend('pg1', closed.address, realClock), backend]
  await made.connect()
  const guest = await server.guest(0)
  await guest.untilText('user')
  assert.equal(made.refused.length, 1)
})

test('connections to a server come from the address that the file names', async t => {
  const made = await rig(t, { way: { source: '127.0.0.77' } })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  await made.connect()
  const guest = await server.guest(0)
  assert.equal(guest.socket.remoteAddress, '127.0.0.77')
})

test('a standby that answers on the write port never reaches the client', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.write(Buffer.concat([authOk, parameter('in_hot_standby', 'on'), keyData(1, secret), ready]))
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P03')
  assert.doesNotMatch(client.text, /in_hot_standby/)
  assert.deepEqual(made.refused, ['pg1: its server answered as a standby'])
})

test('a server that is starting up tells its client so, and is not asked again before it was heard', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.end(errorMessage('57P03'))
  await client.untilEnd()
  assert.equal(sqlStateOf(client.text), '57P03')
  assert.deepEqual(made.refused, ['pg1: its server refused with SQLSTATE 57P03'])
})

test('a cancel request goes to the server that gave out its key, and to it alone', async t => {
  const made = await rig(t)
  const one = await played(t, 'pg1')
  const two = await played(t, 'pg2')
  made.backends = [one.backend]
  const client = await made.connect()
  const guest = await one.stage.guest(0)
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  made.backends = [two.backend]
  const cancel = await dial(made.address)
  const packet = cancelRequest(42, secret)
  cancel.socket.write(packet)
  const carried = await one.stage.guest(1)
  await carried.until('the request', () => carried.bytes === packet.length)
  assert.ok(carried.received.equals(packet))
  assert.equal(cancel.ends, 0)
  carried.socket.end()
  await cancel.untilEnd()
  assert.equal(two.stage.guests.length, 0)
  client.socket.destroy()
  guest.socket.destroy()
})

test('a cancel request with an unknown key goes to every candidate, since an encrypted session hides its key', async t => {
  const made = await rig(t, { pool: 'replica' })
  const servers = [await played(t, 'pg1'), await played(t, 'pg2')]
  made.backends = servers.map(server => server.backend)
  const cancel = await dial(made.address)
  cancel.socket.write(cancelRequest(7, secret))
  for (const { stage: server } of servers) {
    const carried = await server.guest(0)
    await carried.until('the request', () => carried.bytes === 16)
    carried.socket.end()
  }
  await cancel.untilEnd()
})

test('no cancel request reaches a server behind a shut gate', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  backend.gate.untilMs = Number.NEGATIVE_INFINITY
  made.backends = [backend]
  const cancel = await dial(made.address)
  cancel.socket.write(cancelRequest(7, secret))
  await cancel.untilEnd()
  assert.equal(server.guests.length, 0)
})

test('a session on a gate that shuts while it connects is not started', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  backend.gate.untilMs = realClock.monotonicMs() - 1
  made.backends = [backend]
  const client = await made.connect()
  await server.guest(0)
  made.backends = []
  await inState(made, 'held', 1)
  assert.equal(server.guests[0]?.bytes, 0)
  assert.equal(client.bytes, 0)
})

test('what a client sends early is kept and delivered in order', async t => {
  const made = await rig(t)
  const client = await made.connect()
  await inState(made, 'held', 1)
  client.socket.write(message('p', 'password\0'))
  const { stage: server, backend } = await played(t)
  await sleep(30)
  made.backends = [backend]
  made.listener.release()
  const guest = await server.guest(0)
  await guest.untilText('password')
  assert.match(guest.text, /user\0postgres.*password/s)
})

test('a stop ends every session in its own way and leaves nothing behind', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const streaming = await made.connect()
  const guest = await server.guest(0)
  guest.socket.write(greeting)
  await streaming.until('the greeting', () => streaming.bytes === greeting.length)
  made.backends = []
  const held = await made.connect()
  const silent = await dial(made.address)
  await inState(made, 'held', 1)
  await inState(made, 'startup', 1)
  const stopped = made.listener.stop('the proxy is stopping')
  for (const client of [streaming, held, silent]) {
    await client.untilEnd()
    client.socket.end()
  }
  assert.deepEqual([sqlStateOf(streaming.text), sqlStateOf(held.text), silent.bytes], ['57P01', '57P03', 0])
  assert.match(streaming.text, /the proxy is stopping/)
  await untilEmpty(made)
  await stopped
  await assert.rejects(dial(made.address), { code: 'ECONNREFUSED' })
})

/** The address of a listening program that accepts nothing and whose queue is full: connections stay on their way. */

async function fullBacklog(t: TestContext): Promise<HostPort> {
  const program = `require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},function(){
    console.log(this.address().port)})`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const port = Number(String((await once(child.stdout, 'data'))[0]))
  child.kill('SIGSTOP')
  const fillers: Socket[] = []
  t.after(() => {
    for (const filler of fillers) filler.destroy()
  })
  // One that is late may be late because of this process: three in a row are not.
  for (let waiting = 0; waiting < 3; ) {
    const filler = connect({ port, host: '127.0.0.1' })
    filler.on('error', () => {})
    fillers.push(filler)
    const isIn = await Promise.race([once(filler, 'connect').then(() => true), sleep(200, false)])
    waiting = isIn ? 0 : waiting + 1
  }
  return { host: '127.0.0.1', port }
}
