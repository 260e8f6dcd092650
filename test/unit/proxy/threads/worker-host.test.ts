// A worker that is told to close thousands of its sessions: none of them passes a byte, and the others get their turn.

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import test from 'node:test'
import { defaultListener } from '../../../../src/config/proxy/defaults.ts'
import { Gate } from '../../../../src/proxy/backend.ts'
import type { Transport, Wire } from '../../../../src/proxy/relay/wire.ts'
import { SLICE_MIN, SLICE_MS } from '../../../../src/proxy/slices.ts'
import { Batch } from '../../../../src/proxy/threads/batch.ts'
import type { Order, Report } from '../../../../src/proxy/threads/messages.ts'
import { ThreadSheet } from '../../../../src/proxy/threads/thread-sheet.ts'
import { WorkerHost } from '../../../../src/proxy/threads/worker-host.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { authOk, ready, startup } from '../bytes.ts'
import { FakeWire } from '../fake-wire.ts'

const first = startup({ user: 'u' }).toString('latin1')
const greeting = Buffer.concat([authOk, ready]).toString('latin1')
const words = Buffer.from('the last words')

/** A wire whose farewell takes some time. */
class SlowWire extends FakeWire {
  readonly #onFarewell: () => void

  constructor(onFarewell: () => void) {
    super()
    this.#onFarewell = onFarewell
  }

  override end(): void {
    this.#onFarewell()
    super.end()
  }
}

/** A transport whose clients and servers the test makes. */
class PlayedTransport implements Transport {
  readonly kind = 'net'
  onWire: (wire: Wire) => void = () => {}
  next: Wire = new FakeWire()

  createServer(_options: unknown, onWire: (wire: Wire) => void) {
    this.onWire = onWire
    const address = () => null
    return Object.assign(new EventEmitter(), { listening: true, address, listen: () => {}, close: () => {} })
  }

  dial(...[, , listener]: Parameters<Transport['dial']>) {
    listener.onConnected(this.next)
    return { abort: () => {} }
  }
}

/** Sessions that carry bytes; the farewell of each takes `eachMs`. Their wires have the numbers from 1 on. */
function crowded(count: number, eachMs: number) {
  const clock = new FakeClock()
  const transport = new PlayedTransport()
  const reports: Report[] = []
  const batch = new Batch<Report>({ postMessage: told => void reports.push(...told) })
  const made = { closed: 0 }
  const onClosed = () => {
    made.closed += 1
  }
  const sheet = new ThreadSheet()
  const host = new WorkerHost({ clock, transport, sheet, batch, onClosed })
  const gate = new Gate(clock)
  host.take([
    { do: 'listen', server: 1, serve: { keepAliveMs: undefined }, listen: { port: 0 } },
    { do: 'gate', gate: 1, memory: gate.share(() => {}) },
  ])
  const sessions = Array.from({ length: count }, (_, index) => {
    const [client, server] = [new SlowWire(() => clock.jump(eachMs)), new FakeWire()]
    transport.onWire(client)
    sheet.meet()
    client.deliver(first)
    transport.next = server
    const [wire, address] = [index + 1, { host: '10.0.0.1', port: 5432 }]
    host.take([{ do: 'dial', wire: -wire, address, options: { keepAliveMs: 1000 } }, carryOrder(wire)])
    server.deliver(greeting)
    return { client, server }
  })
  const told = () => sessions.filter(({ client }) => client.ended > 0).length
  return Object.assign(made, { clock, host, gate, batch, reports, sessions, told })
}

function carryOrder(wire: number): Order {
  const { timeouts } = defaultListener
  const start = { kind: 'startup', major: 3, minor: 0 } as const
  const session = { serverName: 'pg1', isWrite: true, timeouts, first: start, skipBytes: 0 }
  return { do: 'carry', wire, server: -wire, gate: 1, ...session }
}

function closeOrders(from: number, to: number): readonly Order[] {
  const wires = Array.from({ length: to - from + 1 }, (_, index) => from + index)
  return wires.map(wire => ({ do: 'close', wire, kind: 'cut', words }))
}

const nextRound = () => new Promise(resolve => setImmediate(resolve))

/** How many were told farewell in each round of the loop from now on. */
async function rounds({ told, sessions }: ReturnType<typeof crowded>): Promise<readonly number[]> {
  const counts: number[] = []
  while (told() < sessions.length) {
    const before = told()
    await nextRound()
    counts.push(told() - before)
  }
  return counts
}

test('closes that come in one message are carried out in slices of 20 ms, the first of them at once', async () => {
  const made = crowded(2000, 0.04)
  made.host.take(closeOrders(1, 2000))
  const counts = [made.told(), ...(await rounds(made))]
  assert.ok(
    counts.every(count => count > 0 && count * 0.04 <= SLICE_MS + 1),
    `${counts} in a round`,
  )
  assert.ok(made.sessions.every(({ client }) => client.written === `${greeting}${words}`))
})

test('messages that follow each other lengthen the row and make no round longer', async () => {
  const made = crowded(600, 1)
  for (const from of [1, 201, 401]) made.host.take(closeOrders(from, from + 199))
  assert.equal(made.told(), SLICE_MIN)
  const counts = await rounds(made)
  assert.ok(
    counts.every(count => count <= SLICE_MIN),
    `${counts} in a round`,
  )
})

test('a session that waits for its turn to be closed passes nothing any more, whatever its gate says', async () => {
  const made = crowded(SLICE_MIN + 2, 1)
  made.host.take(closeOrders(1, SLICE_MIN + 2))
  const [asking, answering] = made.sessions.slice(-2)
  assert.ok(asking !== undefined && answering !== undefined)
  assert.deepEqual([made.gate.isOpen(), made.told()], [true, SLICE_MIN])
  asking.client.deliver('a question')
  answering.server.deliver('an answer')
  await rounds(made)
  assert.equal(asking.server.written, first)
  for (const { client } of [asking, answering]) {
    assert.equal(client.written, `${greeting}${words}`)
    assert.equal(client.ended, 1)
  }
  made.batch.flush()
  const ends = made.reports.flatMap(report => (report.tells === 'ending' ? [report.why] : []))
  assert.deepEqual([...new Set(ends)], ['cut'])
})

test('an order for a session that waits to be closed comes behind that, and any other one at once', async () => {
  const made = crowded(SLICE_MIN + 2, 1)
  const [last, other] = [SLICE_MIN + 1, SLICE_MIN + 2]
  const client = made.sessions[last - 1]?.client
  const orders: readonly Order[] = [
    ...closeOrders(1, last),
    { do: 'destroy', wire: last },
    { do: 'close-if-idle', wire: other, words },
  ]
  made.host.take(orders)
  assert.deepEqual([client?.ended, client?.isDestroyed], [0, false], 'it was destroyed without its words')
  assert.equal(made.sessions[other - 1]?.client.ended, 1)
  await rounds(made)
  await nextRound()
  assert.deepEqual([client?.written, client?.isDestroyed], [`${greeting}${words}`, true])
})

test('sessions that are too many for a farewell end behind the words to all others', async () => {
  const made = crowded(2 * SLICE_MIN, 1)
  const destroys = Array.from(
    { length: SLICE_MIN },
    (_, index) => ({ do: 'destroy', wire: index + 1 }) as const,
  )
  made.host.take(closeOrders(1, 2 * SLICE_MIN))
  made.host.take(destroys)
  const gone = () => made.sessions.filter(({ client }) => client.isDestroyed).length
  assert.deepEqual([made.told(), gone()], [SLICE_MIN, 0])
  await rounds(made)
  await nextRound()
  assert.deepEqual([made.told(), gone()], [2 * SLICE_MIN, SLICE_MIN])
})

test('each close is told when it was carried out, also one whose session has just ended by itself', async () => {
  const made = crowded(SLICE_MIN + 5, 1)
  made.host.take([...closeOrders(1, SLICE_MIN + 5), ...closeOrders(9_000, 9_000)])
  assert.equal(made.closed, SLICE_MIN)
  await rounds(made)
  assert.equal(made.closed, SLICE_MIN + 6)
})

test('evidence that has ended is found at look after look, and no round has the slices of several', async () => {
  const made = crowded(20 * SLICE_MIN, 0.5)
  made.gate.untilMs = 1
  let [before, most] = [0, 0]
  const count = () => {
    most = Math.max(most, made.told() - before)
    before = made.told()
    if (before < made.sessions.length) setImmediate(count)
  }
  made.clock.jump(1)
  made.host.take(closeOrders(1, 2 * SLICE_MIN))
  count()
  while (before < made.sessions.length) await made.clock.advance(50)
  assert.ok(most < 2 * SLICE_MIN, `${most} in a round`)
  made.batch.flush()
  const ends = made.reports.flatMap(report => (report.tells === 'ending' ? [report.wire] : []))
  assert.deepEqual([ends.length, new Set(ends).size], [20 * SLICE_MIN, 20 * SLICE_MIN])
})
