// The limits of a listener and of its servers: places, queues, rates, sources, times, and the PROXY header.

import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import test from 'node:test'
import { parseRange } from '../../src/config/proxy/access.ts'
import { defaultAccess, defaultOnNoBackend, defaultTimeouts } from '../../src/config/proxy/defaults.ts'
import type { AddressRange } from '../../src/config/proxy/types.ts'
import { freePort } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { printProxyHeader, readProxyHeader } from '../../src/proxy/proxy-protocol.ts'
import { cancelRequest, message, ready, startup } from '../unit/proxy/bytes.ts'
import {
  arrived,
  first,
  greeting,
  HeldClock,
  inState,
  played,
  rig,
  secret,
  stage,
  untilEmpty,
} from './proxy-listener-rig.ts'
import { dial, sqlStateOf, type Watched } from './proxy-wire.ts'

function networks(...texts: readonly string[]): readonly AddressRange[] {
  return texts.map(parseRange).filter(range => range !== undefined)
}

test('sessions that only say farewell take no place: after a cut the next clients are held, not refused', async t => {
  const made = await rig(t, { sessionsMax: 2 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const old = [await made.connect(), await made.connect()]
  await inState(made, 'streaming', 2)
  for (const guest of server.guests) guest.socket.write(greeting)
  for (const client of old) await client.until('the greeting', () => client.bytes === greeting.length)
  for (const client of old) client.socket.pause()
  made.backends = []
  backend.retire('newer-epoch', 'pg2 took over')
  const next = [await made.connect(), await made.connect()]
  await inState(made, 'held', 2)
  assert.deepEqual(
    next.map(({ ends, bytes }) => [ends, bytes]),
    [
      [0, 0],
      [0, 0],
    ],
  )
  for (const { socket } of [...old, ...next]) socket.destroy()
})

test('a cancel request is carried even when every place is taken', async t => {
  const made = await rig(t, { sessionsMax: 1 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  const cancel = await dial(made.address)
  cancel.socket.write(cancelRequest(42, secret))
  const carried = await server.guest(1)
  await carried.until('the request', () => carried.bytes === 16)
  carried.socket.end()
  await cancel.untilEnd()
  assert.equal(cancel.bytes, 0)
})

test('one source cannot make the proxy flood the servers with cancel requests', async t => {
  // While no time passes none is let in besides those that may come at once.
  const made = await rig(t, { clock: new HeldClock() })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const cancels = await Promise.all(Array.from({ length: 80 }, () => dial(made.address)))
  for (const { socket } of cancels) socket.write(cancelRequest(7, secret))
  await waitFor('each of them to be dropped or carried', { withinMs: 20_000 }, note => {
    const dropped = cancels.filter(({ ends }) => ends > 0).length
    note(`${dropped} dropped, ${server.guests.length} carried`)
    return dropped + server.guests.length === cancels.length
  })
  assert.equal(server.guests.length, 50)
  for (const { socket } of server.guests) socket.end()
  for (const { socket } of cancels) socket.destroy()
})

test('a failure of this host is no evidence against the server, and the session tries again', async t => {
  const way: { source: string | undefined } = { source: '203.0.113.1' }
  const made = await rig(t, { way })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  await waitFor('the failure to be told', { withinMs: 20_000 }, () => made.said.length > 0)
  assert.match(made.said[0] ?? '', /EADDRNOTAVAIL|EINVAL/)
  assert.deepEqual([made.refused, backend.connectFailuresTotal], [[], 0])
  client.socket.destroy()
  await untilEmpty(made)
  assert.equal(server.guests.length, 0)
})

test('reaching the limit again and again is one event, not one for each client', async t => {
  const made = await rig(t, { sessionsMax: 20, heldMax: 50 })
  const clients: Watched[] = []
  for (let count = 0; count < 20; count += 1) clients.push(await made.connect())
  await waitFor('all to be taken', { withinMs: 20_000, everyMs: 5 }, () => made.listener.taken === 20)
  for (let round = 0; round < 5; round += 1) {
    const late = await made.connect()
    await late.untilEnd()
    clients.pop()?.socket.destroy()
    await waitFor('a place', { withinMs: 20_000, everyMs: 5 }, () => made.listener.taken === 19)
    clients.push(await made.connect())
    await waitFor('it to be taken', { withinMs: 20_000, everyMs: 5 }, () => made.listener.taken === 20)
  }
  assert.equal(made.said.filter(says => says.includes('reached its limit')).length, 1)
  for (const { socket } of clients) socket.destroy()
})

test('the stop waits until the last words are read', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  // Pipelined and unread when the stop comes: an early close would turn into a reset.
  client.socket.write(message('Q', `${'x'.repeat(100_000)}\0`))
  const stopped = made.listener.stop('the proxy is stopping')
  await client.untilEnd()
  client.socket.end()
  await stopped
  assert.deepEqual([sqlStateOf(client.text), client.errors, made.listener.sessions.size], ['57P01', [], 0])
})

test('servers that are full make a queue: the first that waits gets the first free place, the last is told', async t => {
  const made = await rig(t, { config: { timeouts: { ...defaultTimeouts, queueMs: 2_000 } } })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  made.isFull = one => one.sessionsOf('write') >= 1
  const one = await made.connect()
  await inState(made, 'streaming', 1)
  const two = await made.connect()
  await inState(made, 'held', 1)
  const three = await made.connect()
  await inState(made, 'held', 2)
  // Like PostgreSQL, the server ends when its client does: only then its place is free.
  one.socket.resetAndDestroy()
  await server.guest(1)
  assert.equal(two.ends, 0)
  await three.untilEnd()
  assert.equal(sqlStateOf(three.text), '53300')
  assert.match(three.text, /all servers of listener write/)
  for (const { socket } of [two, three]) socket.destroy()
})

test('a client that leaves the queue gives its turn to the next', async t => {
  const made = await rig(t)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  made.isFull = one => one.sessionsOf('write') >= 1
  const one = await made.connect()
  await inState(made, 'streaming', 1)
  const two = await made.connect()
  await inState(made, 'held', 1)
  const three = await made.connect()
  await inState(made, 'held', 2)
  two.socket.destroy()
  await inState(made, 'held', 1)
  // Like PostgreSQL, the server ends when its client does: only then its place is free.
  one.socket.resetAndDestroy()
  await server.guest(1)
  assert.equal(three.ends, 0)
  three.socket.destroy()
})

test('a session in which nothing moves ends at its limit with 57P01, one that moves does not', async t => {
  const made = await rig(t, { config: { timeouts: { ...defaultTimeouts, clientMs: 1_500 } } })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const [quiet, busy] = [await made.connect(), await made.connect()]
  for (const index of [0, 1]) (await server.guest(index)).socket.write(greeting)
  const beat = setInterval(() => busy.socket.write(message('Q', 'x\0')), 50)
  t.after(() => clearInterval(beat))
  await quiet.untilEnd()
  assert.equal(sqlStateOf(quiet.text), '57P01')
  assert.match(quiet.text, /idle for too long/)
  assert.equal(busy.ends, 0)
  clearInterval(beat)
  for (const { socket } of [quiet, busy]) socket.destroy()
  await untilEmpty(made)
  assert.ok(made.ended.includes('client-timeout'), made.ended.join())
})

test('a half-closed session ends at the limit for that', async t => {
  const made = await rig(t, { config: { timeouts: { ...defaultTimeouts, clientFinMs: 200 } } })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  guest.socket.write(greeting)
  client.socket.end()
  await client.untilEnd()
  await untilEmpty(made)
  assert.deepEqual(made.ended, ['half-closed-timeout'])
})

test('a client that sends nothing is closed at the login deadline', async t => {
  const made = await rig(t, { config: { timeouts: { ...defaultTimeouts, loginMs: 150 } } })
  const silent = await dial(made.address)
  await silent.untilEnd()
  assert.equal(silent.bytes, 0)
  silent.socket.destroy()
  await untilEmpty(made)
  assert.deepEqual(made.ended, ['startup-timeout'])
})

test('sources outside of the allowed networks are closed without a word, and counted', async t => {
  const rules = [{ action: 'reject', ranges: networks('10.0.0.0/8'), negated: true } as const]
  const made = await rig(t, { config: { access: { ...defaultAccess, rules: [rules] } } })
  const client = await made.connect()
  await client.untilEnd()
  assert.deepEqual([client.bytes, made.listener.deniedTotal, made.listener.sessions.size], [0, 1, 0])
})

test('a source that connects too often is closed, until its rate allows it again', async t => {
  const clock = new HeldClock()
  const made = await rig(t, { clock, config: { access: { ...defaultAccess, perSourcePerSecond: 3 } } })
  const untilDenied = (count: number) =>
    waitFor(`${count} denied`, { withinMs: 20_000, everyMs: 5 }, note => {
      note(`${made.listener.deniedTotal} denied`)
      return made.listener.deniedTotal === count
    })
  for (let count = 0; count < 6; count += 1) await made.connect()
  await inState(made, 'held', 3)
  await untilDenied(3)
  clock.nowMs += 400
  for (let count = 0; count < 2; count += 1) await made.connect()
  await inState(made, 'held', 4)
  await untilDenied(4)
})

test('rules about the peer look at whoever connects, whatever its PROXY header says', async t => {
  const peerRules = [{ action: 'reject', ranges: networks('10.0.0.0/8'), negated: true } as const]
  for (const acceptsProxy of [true, false]) {
    const made = await rig(t, { config: { acceptsProxy, access: { ...defaultAccess, peerRules } } })
    const client = await made.connect()
    await client.untilEnd()
    assert.deepEqual([client.bytes, made.listener.deniedTotal, made.listener.sessions.size], [0, 1, 0])
  }
})

test('the address in a PROXY header is the client’s: for the rules, and for the server behind', async t => {
  const rules = [{ action: 'reject', ranges: networks('192.0.2.0/24'), negated: true } as const]
  const peerRules = [{ action: 'reject', ranges: networks('192.0.2.0/24'), negated: false } as const]
  const config = { acceptsProxy: true, access: { ...defaultAccess, rules: [rules], peerRules } }
  for (const [accepted, sent] of [
    ['v1', 'v2'],
    ['v2', 'v1'],
  ] as const) {
    const made = await rig(t, { config, way: { sendProxy: sent } })
    const { stage: server, backend } = await played(t)
    made.backends = [backend]
    const endpoints = { source: '192.0.2.7', sourcePort: 40_001, target: '10.0.0.9', targetPort: 5000 }
    const client = await dial(made.address)
    client.socket.write(Buffer.concat([printProxyHeader(accepted, endpoints), first]))
    const guest = await server.guest(0)
    await guest.untilText('user')
    const header = readProxyHeader(guest.received)
    assert.ok(header?.kind === 'header')
    assert.deepEqual(header.endpoints, endpoints)
    assert.ok(guest.received.subarray(header.bytes).equals(first))
    const stranger = await dial(made.address)
    stranger.socket.write(printProxyHeader(accepted, { ...endpoints, source: '198.51.100.1' }))
    await stranger.untilEnd()
    const bare = await dial(made.address)
    bare.socket.write(first)
    await bare.untilEnd()
    assert.deepEqual([stranger.bytes, bare.bytes, server.guests.length], [0, 0, 1])
    for (const { socket } of [client, stranger, bare]) socket.destroy()
  }
})

test('held sessions are released in order, no more in a second than allowed', async t => {
  const onNoBackend = { ...defaultOnNoBackend, holdMs: 20_000, heldMax: 50, releasePerSecond: 20 }
  const made = await rig(t, { config: { onNoBackend, connectionsMax: 100 } })
  const clients: Watched[] = []
  for (let count = 0; count < 30; count += 1) {
    const client = await dial(made.address)
    client.socket.write(startup({ user: `u${String(count).padStart(2, '0')}` }))
    clients.push(client)
    await inState(made, 'held', count + 1)
  }
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const startedAtMs = performance.now()
  made.listener.release()
  await waitFor('all to be released', { withinMs: 30_000 }, () => server.guests.length === 30)
  const tookMs = performance.now() - startedAtMs
  t.diagnostic(`30 released in ${Math.round(tookMs)} ms at 20 a second with 20 at once`)
  assert.ok(tookMs > 300)
  await waitFor('their packets', { withinMs: 20_000 }, () => server.guests.every(({ bytes }) => bytes > 0))
  const order = server.guests.map(({ text }) => /u\d\d/.exec(text)?.[0])
  assert.deepEqual(arrived(order), [...order].sort())
  for (const { socket } of clients) socket.destroy()
})

test('whose time ends while it waits only for its turn goes on, in place of an error', async t => {
  const onNoBackend = { ...defaultOnNoBackend, holdMs: 1_500, heldMax: 50, releasePerSecond: 1 }
  const made = await rig(t, { config: { onNoBackend, connectionsMax: 100 } })
  const clients: Watched[] = []
  for (let count = 0; count < 10; count += 1) {
    const client = await dial(made.address)
    client.socket.write(startup({ user: 'held' }))
    clients.push(client)
  }
  await inState(made, 'held', 10)
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  made.listener.release()
  assert.ok(made.listener.hold.size > 5, 'most still wait for their turn')
  // At one in a second the last would have its turn long after its time has ended.
  await waitFor('all to be released', { withinMs: 5_000 }, () => server.guests.length === 10)
  for (const { socket } of clients) socket.destroy()
})

test('a port that stops listening refuses, and listens again with its sessions untouched', async t => {
  const binds = [{ host: '127.0.0.1', port: await freePort('127.0.0.1', 15_500) }]
  const made = await rig(t, { config: { binds } })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  const guest = await server.guest(0)
  const { address } = made
  made.listener.stopListening()
  await waitFor('the port to refuse', { withinMs: 20_000, everyMs: 5 }, async () => {
    const answer: unknown = await dial(address).then(
      ({ socket }) => socket.destroy(),
      (error: unknown) => error,
    )
    return answer instanceof Error && 'code' in answer && answer.code === 'ECONNREFUSED'
  })
  guest.socket.write(greeting)
  await client.until('the greeting', () => client.bytes === greeting.length)
  assert.equal(made.listener.isListening, false)
  await made.listener.listen()
  await made.connect()
  await (await server.guest(1)).untilText('user')
  assert.equal(client.ends, 0)
})

test('a thousand sessions that are cut together do not stop the loop', async t => {
  const made = await rig(t, { sessionsMax: 1000 })
  const quiet = await stage(t)
  const backend = new Backend('pg1', quiet.address, realClock)
  made.backends = [backend]
  const clients = await Promise.all(Array.from({ length: 1000 }, () => made.connect()))
  await waitFor('all to stream', { withinMs: 30_000 }, () => backend.startedTotal === 1000)
  await quiet.guest(999)
  for (const { socket } of quiet.guests) socket.write(Buffer.concat([greeting, ready]))
  await waitFor('their greeting', { withinMs: 30_000 }, () => clients.every(({ bytes }) => bytes > 0))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedAtMs = performance.now()
  const cutting = backend.retire('newer-epoch', 'pg2 took over')
  const closedMs = performance.now() - startedAtMs
  let lastCutMs = Number.NaN
  cutting.whenDone(() => {
    lastCutMs = performance.now() - startedAtMs
    assert.ok([...made.listener.sessions].every(({ state }) => state !== 'streaming'))
  })
  assert.equal(cutting.begun, 1000)
  await waitFor('all ends', { withinMs: 30_000 }, () => clients.every(({ ends }) => ends === 1))
  delay.disable()
  t.diagnostic(
    `gate and first slice ${closedMs.toFixed(1)} ms, last slice ${lastCutMs.toFixed(1)} ms, longest pause of the loop ${(delay.max / 1e6).toFixed(1)} ms (clients and servers share it)`,
  )
  assert.ok(clients.every(({ text }) => sqlStateOf(text) === '57P01'))
  assert.ok(lastCutMs >= closedMs, `${lastCutMs} ms`)
  for (const { socket } of clients) socket.destroy()
})
