// Sessions in two worker threads: limits, order and cuts are as exact as in one, and a control thread that stands still
// cannot keep a session of a leader alive whose evidence has ended.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { after, type TestContext, test } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import type { Threads } from '../../src/proxy/threads/threads.ts'
import { cancelRequest } from '../unit/proxy/bytes.ts'
import { greeting, inState, played, type Rig, rig, secret, untilEmpty } from './proxy-listener-rig.ts'
import { threadsFor } from './proxy-threads-rig.ts'
import { endsWhileStalled } from './proxy-threads-stall.ts'
import { dial, type Stage, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

const opened = await threadsFor({ after })
const { threads } = opened
const transport = threads

/** So many clients whose sessions carry bytes, spread over both threads. */
async function streaming(made: Rig, server: Stage, count: number): Promise<readonly Watched[]> {
  const before = server.guests.length
  const clients = await Promise.all(Array.from({ length: count }, () => made.connect()))
  await inState(made, 'streaming', count)
  await server.guest(before + count - 1)
  for (const { socket } of server.guests.slice(before)) socket.write(greeting)
  for (const client of clients) await client.until('the greeting', () => client.bytes === greeting.length)
  return clients
}

function sessionsOf(over: Threads): readonly number[] {
  return over.sessions.map(({ sessions }) => sessions)
}

async function spreads(t: TestContext, over: Threads): Promise<void> {
  const made = await rig(t, { transport: over })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const clients = await streaming(made, server, 40)
  const [one = 0, two = 0] = sessionsOf(over)
  t.diagnostic(`${one} and ${two} sessions`)
  assert.ok(one > 0 && two > 0 && one + two === 40, `${one} and ${two}`)
  for (const [index, client] of clients.entries()) client.socket.write(`question ${index}.`)
  for (const guest of server.guests) {
    await guest.untilText('.')
    guest.socket.write(`answer to ${/question \d+/.exec(guest.text)?.[0]}.`)
  }
  for (const [index, client] of clients.entries()) await client.untilText(`answer to question ${index}.`)
  for (const { socket } of clients) socket.end()
  for (const { socket } of server.guests) socket.end()
  await untilEmpty(made)
  assert.deepEqual(sessionsOf(over), [0, 0])
  assert.equal(made.ended.length, 40)
}

test('sessions are spread over the threads, and bytes pass both ways', t => spreads(t, threads))

test('the same over node:net', async t => {
  const { threads: onNet } = await threadsFor(t, 2, 'net')
  await spreads(t, onNet)
  await onNet.close()
})

test('the limit of sessions is exact when clients come to all threads at once', async t => {
  const made = await rig(t, { transport, sessionsMax: 30 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  // Of a burst alone all places may go to the thread that runs first.
  const first = await streaming(made, server, 20)
  const [one = 0, two = 0] = sessionsOf(threads)
  assert.ok(one > 0 && two > 0, `${one} and ${two}`)
  const burst = await Promise.all(Array.from({ length: 100 }, () => startSession(made.address)))
  await inState(made, 'streaming', 30)
  await waitFor('the others to be turned away', { withinMs: 20_000 }, note => {
    const ended = burst.filter(({ ends, errors }) => ends + errors.length > 0)
    note(`${ended.length}`)
    return ended.length === 90
  })
  await server.guest(29)
  assert.equal(server.guests.length, 30)
  assert.equal(
    sessionsOf(threads).reduce((sum, sessions) => sum + sessions, 0),
    30,
  )
  assert.ok(burst.some(({ text }) => sqlStateOf(text) === '53300'))
  for (const { socket } of [...first, ...burst, ...server.guests]) socket.destroy()
  await untilEmpty(made)
})

test('held sessions of all threads go on in the order in which they came', async t => {
  const made = await rig(t, { transport, heldMax: 50 })
  const clients: Watched[] = []
  for (let count = 1; count <= 20; count += 1) {
    clients.push(await startSession(made.address, `user${count}`))
    await inState(made, 'held', count)
  }
  const { stage: server, backend } = await played(t)
  // One at a time: who is next is the queue's word alone, not the network's.
  made.isFull = one => one.sessionsOf('write') > 0
  made.backends = [backend]
  const users: string[] = []
  for (let index = 0; index < 20; index += 1) {
    await waitFor(`connection ${index}`, { withinMs: 20_000, everyMs: 5 }, () => {
      made.listener.release()
      return server.guests.length > index
    })
    const guest = await server.guest(index)
    await guest.untilText('user\0')
    users.push(/user\0(\w+)/.exec(guest.text)?.[1] ?? '')
    assert.equal(server.guests.length, index + 1)
    guest.socket.destroy()
    clients[index]?.socket.destroy()
  }
  assert.deepEqual(
    users,
    clients.map((_, index) => `user${index + 1}`),
  )
})

test('a cut ends the sessions of every thread at once, and each client is told why', async t => {
  const made = await rig(t, { transport, sessionsMax: 200 })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const clients = await streaming(made, server, 100)
  for (const client of clients) client.clear()
  const startedAtMs = performance.now()
  const cutting = backend.retire('newer-epoch', 'pg2 took over')
  const retiredAtMs = performance.now()
  let doneMs = Number.NaN
  cutting.whenDone(() => {
    doneMs = performance.now() - startedAtMs
  })
  assert.deepEqual([cutting.begun, doneMs], [100, Number.NaN], 'the threads have not said a word yet')
  for (const client of clients) await client.untilEnd()
  const lastMs = Math.max(...clients.map(({ endedAtMs }) => endedAtMs)) - startedAtMs
  t.diagnostic(
    `100 sessions: gate closed after ${(retiredAtMs - startedAtMs).toFixed(1)} ms, last word of a thread after ${doneMs.toFixed(1)} ms, last end after ${lastMs.toFixed(1)} ms`,
  )
  assert.ok(doneMs < 250, `${doneMs} ms`)
  assert.ok(lastMs < 250, `${lastMs} ms`)
  for (const { text, errors } of clients) {
    assert.equal(sqlStateOf(text), '57P01')
    assert.match(text, /Dpg2 took over\0/)
    assert.deepEqual(errors, [])
  }
  for (const { socket } of clients) socket.end()
  await untilEmpty(made)
  assert.ok(made.ended.every(why => why === 'newer-epoch'))
})

test('while the control thread stands still, forwarding stops by itself when the evidence ends', t =>
  endsWhileStalled(t, threads, 3_000))

test('a cancel request reaches its server whichever thread it comes to', async t => {
  const made = await rig(t, { transport })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const [client] = await streaming(made, server, 1)
  await inState(made, 'streaming', 1)
  for (let count = 1; count <= 16; count += 1) {
    const cancel = await dial(made.address)
    cancel.socket.write(cancelRequest(42, secret))
    const carried = await server.guest(count)
    await carried.until('the request', () => carried.bytes === 16)
    carried.socket.end()
    await cancel.untilEnd()
  }
  client?.socket.destroy()
})

test('a thread that dies takes its own sessions with it alone, is told of and started again', async t => {
  const made = await rig(t, { transport })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const clients = await streaming(made, server, 40)
  const before = sessionsOf(threads)
  // An address that no caller of Node may give: the thread that is told to connect there ends with an error.
  made.backends = [new Backend('pg9', { host: 'localhost', port: 70_000 }, realClock)]
  const killer = await made.connect()
  await waitFor('a thread to die', { withinMs: 20_000 }, () => threads.deathsTotal === 1)
  made.backends = [backend]
  await killer.untilEnd()
  await waitFor('its sessions to be over', { withinMs: 20_000 }, note => {
    note(sessionsOf(threads).join())
    return made.listener.taken === sessionsOf(threads).reduce((sum, one) => sum + one, 0)
  })
  const alive = clients.filter(({ ends, errors }) => ends + errors.length === 0)
  assert.ok(before.includes(alive.length), `${before} before, ${alive.length} alive`)
  assert.equal(made.ended.filter(why => why === 'thread-ended').length, 40 - alive.length)
  for (const client of alive) client.socket.write('still there')
  await waitFor('the others to carry on', { withinMs: 20_000 }, () => {
    return server.guests.filter(({ text }) => text.endsWith('still there')).length === alive.length
  })
  assert.equal(opened.told[0]?.kind, 'thread-died')
  assert.match(
    opened.told[0]?.says ?? '',
    /^thread [12] died, and the sessions .* it is started again: RangeError/,
  )
  await waitFor('both threads to take clients', { withinMs: 20_000 }, async () => {
    const more = await made.connect()
    await more.until('a server', () => more.ends === 0)
    return sessionsOf(threads).every(sessions => sessions > 0)
  })
  await made.listener.stop('over')
  assert.deepEqual(opened.hopeless, [])
})

test('a stop leaves neither a thread nor a descriptor', async t => {
  const count = async () => [
    (await readdir('/proc/self/task')).length,
    (await readdir('/proc/self/fd')).length,
  ]
  const before = await count()
  const more = await threadsFor(t, 3)
  const made = await rig(t, { transport: more.threads })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const clients = await streaming(made, server, 20)
  await made.listener.stop('over')
  await more.threads.close()
  for (const client of clients) assert.equal(sqlStateOf(client.text), '57P01')
  for (const { socket } of clients) socket.destroy()
  server.close()
  await waitFor('everything to be gone', { withinMs: 20_000 }, async note => {
    const now = await count()
    note(`${before} before, ${now} now`)
    return now.every((one, index) => one <= (before[index] ?? 0))
  })
  await assert.rejects(dial(made.address), /ECONNREFUSED/)
})
