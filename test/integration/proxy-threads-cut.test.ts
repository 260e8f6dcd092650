// A worker thread that carries thousands of sessions of a leader that is retired, and sessions of the new one.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { rig } from './proxy-listener-rig.ts'
import { Far, machineMs, threadsFor } from './proxy-threads-rig.ts'

const CUT = 3000

test('3,000 sessions of one thread that are cut together do not keep a session of the new leader waiting in it', async t => {
  // One thread: the kernel has no choice where the others go.
  const { threads } = await threadsFor({ after }, 1)
  const [old, next] = [await Far.open(t), await Far.open(t)]
  const made = await rig(t, { transport: threads, sessionsMax: CUT + 1 })
  const [retired, leader] = [
    new Backend('pg1', old.address, realClock),
    new Backend('pg2', next.address, realClock),
  ]
  made.backends = [leader]
  await next.connect(made.address, 1)
  made.backends = [retired]
  for (let count = 0; count < CUT; count += 500) await old.connect(made.address, 0, 500)
  assert.equal(retired.startedTotal, CUT)
  await next.look(true)
  const startedAtMs = machineMs()
  const told = Promise.withResolvers<void>()
  retired.retire('newer-epoch', 'pg2 took over').whenDone(told.resolve)
  await told.promise
  const doneMs = machineMs() - startedAtMs
  await waitFor('all ends', { withinMs: 20_000, everyMs: 50 }, async note => {
    const { clients } = await old.look()
    const ended = clients.filter(({ endedAtMs }) => endedAtMs !== undefined)
    note(`${ended.length}`)
    return ended.length === CUT
  })
  const [alive] = (await next.look()).clients
  const { clients } = await old.look()
  const lastMs = Math.max(...clients.map(({ endedAtMs = Number.NaN }) => endedAtMs)) - startedAtMs
  t.diagnostic(
    `${CUT} sessions: last word of the thread after ${doneMs.toFixed(1)} ms, last end after ${lastMs.toFixed(1)} ms; longest pause of the session beside them ${alive?.longestPauseMs.toFixed(1)} ms`,
  )
  assert.ok(clients.every(({ code }) => code === '57P01'))
  assert.ok(alive !== undefined && alive.answers > 0 && alive.endedAtMs === undefined)
  assert.ok(alive.longestPauseMs < 1000, `${alive.longestPauseMs} ms`)
})

test('a thread that is ended in the middle of a cut says its last words to every client first', async t => {
  const count = 1500
  const { threads } = await threadsFor(t, 1)
  const far = await Far.open(t)
  const made = await rig(t, { transport: threads, sessionsMax: count })
  const backend = new Backend('pg1', far.address, realClock)
  made.backends = [backend]
  for (let connected = 0; connected < count; connected += 500) await far.connect(made.address, 0, 500)
  // No gate is closed: nothing but the orders says that these sessions end.
  for (const session of [...backend.sessions]) session.cut('proxy-stops', 'the proxy is stopping')
  await threads.close()
  await waitFor('all ends', { withinMs: 20_000, everyMs: 50 }, async note => {
    const { clients } = await far.look()
    const ended = clients.filter(({ endedAtMs }) => endedAtMs !== undefined)
    note(`${ended.length}`)
    return ended.length === count
  })
  const { clients } = await far.look()
  assert.equal(clients.filter(({ code }) => code === '57P01').length, count)
})
