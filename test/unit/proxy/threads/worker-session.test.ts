// A session in a worker: it compares the deadline of its evidence before each piece, whatever else stands still.

import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultListener } from '../../../../src/config/proxy/defaults.ts'
import { Gate } from '../../../../src/proxy/backend.ts'
import { SharedGate } from '../../../../src/proxy/threads/gate-sheet.ts'
import type { Report } from '../../../../src/proxy/threads/messages.ts'
import { ThreadSheet } from '../../../../src/proxy/threads/thread-sheet.ts'
import { WorkerSession } from '../../../../src/proxy/threads/worker-session.ts'
import { WorkerWire } from '../../../../src/proxy/threads/worker-wire.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { authOk, ready, startup } from '../bytes.ts'
import { FakeWire } from '../fake-wire.ts'

const first = startup({ user: 'u' }).toString('latin1')
const greeting = Buffer.concat([authOk, ready]).toString('latin1')

function made() {
  const clock = new FakeClock()
  const gate = new Gate(clock)
  gate.untilMs = 1000
  const shared = new SharedGate({ clock, watch: { check: () => {} }, memory: gate.share(() => {}) })
  const reports: Report[] = []
  const report = (told: Report) => void reports.push(told)
  const moved = new Set<WorkerSession>()
  const [client, server] = [new FakeWire(), new FakeWire()]
  const wires = {
    client: new WorkerWire(1, client, report, () => {}),
    server: new WorkerWire(2, server, report, () => {}),
  }
  client.start()
  client.deliver(first)
  const session = new WorkerSession({
    ...{ clock, report, moved, gate: shared, ...wires },
    sheet: new ThreadSheet(),
    order: {
      ...{ do: 'carry', wire: 1, server: 2, gate: 1, serverName: 'pg1', isWrite: true, skipBytes: 0 },
      timeouts: defaultListener.timeouts,
      first: { kind: 'startup', major: 3, minor: 0 },
    },
    onOver: () => {},
  })
  const ending = () => reports.flatMap(told => (told.tells === 'ending' ? [told.why] : []))
  return { clock, gate, client, server, session, moved, ending }
}

for (const from of ['client', 'server'] as const) {
  test(`not one byte of the ${from} passes at or after the deadline, though no timer has run`, () => {
    const { clock, client, server, ending } = made()
    server.deliver(greeting)
    client.deliver('before')
    assert.deepEqual([server.written, client.written], [`${first}before`, greeting])
    // As after a wait of the whole process: time has passed, and nothing has run.
    clock.jump(1000)
    const [side, other] = from === 'client' ? [client, server] : [server, client]
    side.deliver('after')
    assert.ok(!other.written.includes('after'), 'it passed')
    assert.deepEqual(ending(), ['gate-closed'])
    assert.match(client.written, /57P01/)
    assert.equal(server.written, `${first}before`)
  })
}

test('evidence that was prolonged counts for the very next piece', () => {
  const { clock, gate, client, server, ending } = made()
  clock.jump(999)
  gate.untilMs = 2000
  clock.jump(500)
  client.deliver('on time')
  assert.deepEqual([server.written, ending()], [`${first}on time`, []])
})

test('a piece that the kernel took late ends the session when the deadline has passed meanwhile', () => {
  const { clock, client, server, ending } = made()
  server.deliver(greeting)
  server.isFull = true
  client.deliver('slow')
  clock.jump(1000)
  server.take()
  assert.deepEqual(ending(), ['gate-closed'])
  assert.equal(client.isReading && !client.isDestroyed && client.written === greeting, false)
})

test('only a session in which something moved is asked for its figures', () => {
  const { client, server, session, moved } = made()
  for (const move of [() => {}, () => server.deliver(greeting), () => client.deliver('a question')]) {
    move()
    assert.deepEqual([...moved], [session])
    moved.clear()
  }
  session.order('reset', undefined)
  session.end()
  assert.equal(moved.size, 0)
})
