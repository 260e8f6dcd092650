// A listener with real clients: limits, the queue, refusals. Its servers are played by hand where a real one is no use.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostPort } from '../../src/cluster/member.ts'
import type { ListenerConfig } from '../../src/config/proxy/types.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { CancelKeys } from '../../src/proxy/cancel.ts'
import { Listener } from '../../src/proxy/listener.ts'
import type { SessionTotals } from '../../src/proxy/outage.ts'
import {
  authOk,
  cancelRequest,
  errorMessage,
  gssRequest,
  keyData,
  message,
  parameter,
  ready,
  sslRequest,
  startup,
} from '../unit/proxy/bytes.ts'
import { dial, Stage, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

const secret = Buffer.from('0badcafe', 'hex')
const greeting = Buffer.concat([authOk, parameter('in_hot_standby', 'off'), keyData(42, secret), ready])
const first = startup({ user: 'u' })

interface Changes {
  readonly pool?: ListenerConfig['pool']
  readonly sessionsMax?: number
  readonly holdMs?: number
  readonly heldMax?: number
  readonly plainErrors?: boolean
  readonly afterHold?: 'error' | 'close'
}

interface Rig {
  readonly listener: Listener
  readonly address: HostPort
  readonly totals: SessionTotals
  readonly ended: string[]
  readonly said: string[]
  readonly refused: string[]
  /** Where new sessions go; empty: they wait. In order of preference. */
  backends: Backend[]
  connect(): Promise<Watched>
}

async function rig(t: TestContext, changes: Changes = {}): Promise<Rig> {
  const ended: string[] = []
  const said: string[] = []
  const refused: string[] = []
  const totals = { cut: 0, held: 0 }
  const made = { backends: [] as Backend[] }
  const { holdMs = 5000, heldMax = 10, plainErrors = false, afterHold = 'error' } = changes
  const listener = new Listener({
    config: {
      name: 'write',
      bind: { host: '127.0.0.1', port: 0 },
      pool: changes.pool ?? 'leader',
      fallback: 'none',
      balance: 'roundrobin',
      connectionsMax: 100,
      onNoBackend: { holdMs, heldMax, afterHold, plainErrors },
    },
    sessionsMax: changes.sessionsMax ?? 100,
    clock: realClock,
    pool: {
      choose: tried => made.backends.find(backend => !tried.has(backend.name)),
      candidates: () => made.backends,
    },
    cancels: new CancelKeys(),
    events: { record: event => void said.push(event.says) },
    metrics: {
      accepted: () => {},
      held: () => {},
      turnedAway: () => {},
      ended: (_listener, why) => void ended.push(why),
    },
    totals,
    explain: () => 'cluster pgsql has no leader for 2.1 s',
    onRefused: (backend, why) => {
      refused.push(`${backend.name}: ${why}`)
      if (changes.pool !== 'replica') made.backends = []
    },
  })
  await listener.listen()
  t.after(() => listener.stop('over'))
  const address = listener.address
  return Object.assign(made, {
    listener,
    address,
    totals,
    ended,
    said,
    refused,
    connect: () => startSession(address),
  })
}

async function stage(t: TestContext): Promise<Stage> {
  const made = await Stage.open()
  t.after(() => made.close())
  return made
}

/** A server that is played by hand. */
async function played(t: TestContext, name = 'pg1') {
  const made = await stage(t)
  return { stage: made, backend: new Backend(name, made.address, realClock) }
}

async function inState(made: Rig, state: string, count: number): Promise<void> {
  await waitFor(`${count} sessions ${state}`, { withinMs: 5000, everyMs: 5 }, note => {
    const states = [...made.listener.sessions].map(session => session.state)
    note(states.join())
    return states.filter(one => one === state).length === count
  })
}

async function untilEmpty(made: Rig): Promise<void> {
  await waitFor(
    'all sessions to be over',
    { withinMs: 5000, everyMs: 5 },
    () => made.listener.sessions.size === 0,
  )
}

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
  assert.deepEqual(users, ['user1', 'user2', 'user3', 'user4', 'user5'])
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
  await waitFor('room', { withinMs: 2000, everyMs: 5 }, () => made.listener.hold.size === 1)
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
  await waitFor('all to be seen', { withinMs: 2000, everyMs: 5 }, () => made.ended.length === 20)
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
  await waitFor('a slot', { withinMs: 2000, everyMs: 5 }, () => made.listener.sessions.size === 1)
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
  assert.equal(old.cutAll('newer-epoch', 'pg2 took over'), 0)
  await inState(made, 'held', 1)
  made.backends = [backend]
  made.listener.release()
  const guest = await server.guest(0)
  await guest.untilText('user')
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  assert.deepEqual([old.sessions.size, client.ends, client.errors], [0, 0, []])
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
  made.listener.stop('the proxy is stopping')
  for (const client of [streaming, held, silent]) {
    await client.untilEnd()
    client.socket.end()
  }
  assert.deepEqual([sqlStateOf(streaming.text), sqlStateOf(held.text), silent.bytes], ['57P01', '57P03', 0])
  assert.match(streaming.text, /the proxy is stopping/)
  await untilEmpty(made)
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
  for (let isFull = false; !isFull; ) {
    const filler = connect({ port, host: '127.0.0.1' })
    filler.on('error', () => {})
    fillers.push(filler)
    isFull = !(await Promise.race([once(filler, 'connect').then(() => true), sleep(200, false)]))
  }
  return { host: '127.0.0.1', port }
}
