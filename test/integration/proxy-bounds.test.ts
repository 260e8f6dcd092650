// What must not last for ever or grow without end: failures of this host, clients that nobody wants.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultListener } from '../../src/config/proxy/defaults.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { DISMISSED_MAX } from '../../src/proxy/dismissal.ts'
import { LINGER_MS } from '../../src/proxy/farewell.ts'
import type { Wire } from '../../src/proxy/relay/wire.ts'
import { TurnAway } from '../../src/proxy/turn-away.ts'
import { cancelRequest } from '../unit/proxy/bytes.ts'
import { HeldClock, inState, played, rig, secret, untilEmpty } from './proxy-listener-rig.ts'
import { dial, sqlStateOf, Watched } from './proxy-wire.ts'
import { transports } from './relay-rig.ts'

test('a host that goes on failing: its client is told when its time is up', async t => {
  const made = await rig(t, { holdMs: 500, way: { source: '203.0.113.1' } })
  const { backend } = await played(t)
  made.backends = [backend]
  const client = await made.connect()
  await client.untilText('57P03', 10_000)
  await client.untilEnd()
  client.socket.destroy()
  await untilEmpty(made)
  assert.deepEqual([made.ended, made.refused], [['no-backend'], []])
})

for (const transport of transports)
  test(`clients that are not let in and do not leave are few at a time, however many come: ${transport.kind}`, async t => {
    const access = {
      ...defaultListener.access,
      rules: [[{ action: 'reject', ranges: undefined, negated: false }]],
    } as const
    const made = await rig(t, { transport, config: { access } })
    const count = 3 * DISMISSED_MAX
    const before = (await readdir('/proc/self/fd')).length
    const beganMs = performance.now()
    const clients: Watched[] = []
    for (let from = 0; from < count; from += 50) {
      const some = await Promise.all(Array.from({ length: 50 }, () => dial(made.address)))
      clients.push(...some)
    }
    t.after(() => {
      for (const { socket } of clients) socket.destroy()
    })
    await Promise.all(clients.map(client => client.untilEnd()))
    const tookMs = performance.now() - beganMs
    const held = (await readdir('/proc/self/fd')).length - before
    const gone = clients.filter(({ socket }) => socket.destroyed).length
    t.diagnostic(
      `${held} descriptors for ${count} clients, ${gone} of them gone, after ${tookMs.toFixed(0)} ms`,
    )
    assert.equal(made.listener.deniedTotal, count)
    // Each client of ours has one; whoever the proxy has not let go of has another.
    assert.ok(held <= count - gone + DISMISSED_MAX + 10, `${held} descriptors`)
    await sleep(LINGER_MS)
  })

test('at the limit of all ports the words are about that one, and it is one event however many come and go', async t => {
  const clock = new HeldClock()
  let isFull = false
  const made = await rig(t, { clock, hasPlace: () => !isFull, plainErrors: true })
  const turnAway = async () => {
    isFull = true
    const late = await made.connect()
    await late.untilEnd()
    assert.match(late.text, /the proxy has as many sessions as it may have on all ports together/)
    assert.equal(sqlStateOf(late.text), '53300')
    isFull = false
  }
  for (let round = 0; round < 3; round += 1) {
    const client = await made.connect()
    await inState(made, 'held', 1)
    await turnAway()
    client.socket.destroy()
    await untilEmpty(made)
  }
  const says = 'the proxy has reached its limit of sessions on all ports together'
  assert.deepEqual(
    made.said.map(said => said.slice(0, says.length)),
    [says],
  )
  clock.nowMs += 10_000
  await turnAway()
  assert.equal(made.said.length, 2)
})

test('clients beyond the rate of a port wait for their turn, and none is closed', async t => {
  const clock = new HeldClock()
  const access = { ...defaultListener.access, perSecond: 2 }
  const made = await rig(t, { clock, config: { access } })
  const clients: Watched[] = []
  for (let count = 0; count < 5; count += 1) clients.push(await made.connect())
  await waitFor(
    'all to be accepted',
    { withinMs: 20_000, everyMs: 5 },
    () => made.listener.acceptedTotal === 5,
  )
  await inState(made, 'held', 2)
  clients.at(-1)?.socket.destroy()
  clock.nowMs += 500
  await inState(made, 'held', 3)
  clock.nowMs += 500
  await inState(made, 'held', 4)
  assert.deepEqual(
    [made.listener.deniedTotal, clients.map(({ ends }) => ends).slice(0, 4)],
    [0, [0, 0, 0, 0]],
  )
})

for (const transport of transports)
  test(`who hangs up while it waits for its turn is seen at once and takes none, but for a cancel request: ${transport.kind}`, async t => {
    const clock = new HeldClock()
    const access = { ...defaultListener.access, perSecond: 1 }
    const made = await rig(t, { clock, transport, config: { access } })
    const { stage: server, backend } = await played(t)
    const held = await made.connect()
    await inState(made, 'held', 1)
    const gone = await made.connect()
    const cancel = await dial(made.address)
    cancel.socket.end(cancelRequest(7, secret))
    await waitFor('all to be accepted', { withinMs: 20_000 }, () => made.listener.acceptedTotal === 3)
    gone.socket.end()
    await gone.untilEnd()
    assert.deepEqual([held.ends, cancel.ends, made.listener.deniedTotal], [0, 0, 0])
    made.backends = [backend]
    clock.nowMs += 1000
    const carried = await server.guest(0)
    await carried.until('the request', () => carried.bytes === 16)
    carried.socket.end()
    await cancel.untilEnd()
  })

test('more than a port has places do not wait for their turn: they are closed and counted, and a stop ends those that wait', async t => {
  const access = { ...defaultListener.access, perSecond: 1 }
  const made = await rig(t, { clock: new HeldClock(), sessionsMax: 2, config: { access } })
  const clients: Watched[] = []
  for (let count = 0; count < 4; count += 1) clients.push(await made.connect())
  await waitFor('two to be denied', { withinMs: 20_000, everyMs: 5 }, note => {
    note(clients.map(({ ends }) => ends).join())
    return made.listener.deniedTotal === 2 && clients.filter(({ ends }) => ends === 1).length === 2
  })
  await made.listener.stop('over')
  await Promise.all(clients.map(client => client.untilEnd()))
})

for (const transport of transports)
  test(`beyond the limit a cancel request counts for the client of its PROXY header, not for the balancer: ${transport.kind}`, async t => {
    const seen: string[] = []
    const away = new TurnAway({
      clock: realClock,
      plainErrors: false,
      acceptsProxy: true,
      detail: () => '',
      admits: source => source !== '10.0.0.9',
      cancel: (_processId, _secret, source) => {
        seen.push(source)
        return Promise.resolve()
      },
      onFull: () => {},
    })
    const server = transport.createServer({ keepAliveMs: undefined }, wire => away.take(wire, 'listener'))
    await new Promise<void>(resolve => void server.listen({ port: 0, host: '127.0.0.1' }, resolve))
    t.after(() => server.close())
    const bound = server.address()
    assert.ok(bound !== null && typeof bound === 'object')
    for (const source of ['10.0.0.7', '10.0.0.9', '10.0.0.8']) {
      const client = await dial({ host: '127.0.0.1', port: bound.port })
      client.socket.write(`PROXY TCP4 ${source} 10.0.0.1 40000 5000\r\n`)
      client.socket.write(cancelRequest(42, secret))
      await client.untilEnd()
      client.socket.destroy()
    }
    assert.deepEqual(seen, ['10.0.0.7', '10.0.0.8'])
  })

for (const transport of transports)
  test(`a client of an address that this host holds no more is reset and takes nothing: ${transport.kind}`, async t => {
    const asked: string[] = []
    const mayServe = (wire: Wire) => {
      asked.push(wire.endpoints().target)
      return asked.length > 1
    }
    const made = await rig(t, { transport, mayServe })
    // Not `dial`: the reset may be there before the connection is told.
    const late = new Watched(connect(made.address))
    await waitFor('the reset', { withinMs: 20_000, everyMs: 5 }, () => late.errors.length > 0)
    assert.deepEqual([late.errors, late.bytes, made.listener.acceptedTotal], [['ECONNRESET'], 0, 0])
    const next = await made.connect()
    await inState(made, 'held', 1)
    assert.deepEqual(asked, [made.address.host, made.address.host])
    next.socket.destroy()
    await untilEmpty(made)
  })

test('as many wait for full servers as max_queue says, and the next one is told at once', async t => {
  const made = await rig(t, { config: { queueMax: 1 } })
  const { backend } = await played(t)
  made.backends = [backend]
  made.isFull = () => true
  const first = await made.connect()
  await inState(made, 'held', 1)
  const next = await made.connect()
  await next.untilEnd()
  assert.deepEqual([sqlStateOf(next.text), first.bytes, made.listener.queue.size], ['53300', 0, 1])
  for (const { socket } of [first, next]) socket.destroy()
})
