// What the fence and the keeper do in the moments when a lease comes back, changes or was given away half.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline } from '../../../src/platform/deadline.ts'
import { position, runLoop, scene, TTL_MS, timings } from './keeper-scene.ts'

const firstOf = (signals: readonly string[], name: string) =>
  Number(signals.find(line => line.endsWith(name))?.split(' ')[0] ?? Number.NaN)

test('etcd back right after the first signal: the fence goes through with the stop, and then it is calm', async () => {
  const { clock, keeper, store, signals, fence, fenced, lead } = scene()
  await lead()
  await runLoop(clock, keeper, TTL_MS)
  store.answer = 'unknown'
  while (signals.length === 0) await runLoop(clock, keeper, 100)
  store.answer = 'won'
  await runLoop(clock, keeper, 2 * TTL_MS)
  assert.ok(
    signals.some(line => line.endsWith('SIGKILL')),
    'half a stop is none',
  )
  assert.equal(fence.isActing, false)
  assert.equal(fenced.length, 1)
  assert.ok(keeper.leftMs() > 0, 'the lease itself was renewed: this member may lead again')
  const { length } = signals
  fence.arm()
  await runLoop(clock, keeper, TTL_MS)
  assert.equal(signals.length, length, 'the next term is left alone')
})

test('the first signal tells everybody who would bring a server up', async () => {
  const { clock, keeper, store, signals, fence, lead } = scene()
  await lead()
  const { signal } = fence
  store.answer = 'unknown'
  while (signals.length === 0) {
    assert.equal(signal.aborted, false)
    await runLoop(clock, keeper, 100)
  }
  assert.equal(signal.aborted, true)
  await runLoop(clock, keeper, 2 * TTL_MS)
  assert.equal(fence.signal.aborted, false, 'the next term begins with another')
})

test('the leader key deleted under us leaves a moment to take it again before the stop begins', async () => {
  const { clock, keeper, signals, lost, fence, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  keeper.verify(undefined, position(60n))
  assert.deepEqual(lost, ['the leader key is gone'])
  await clock.advance(400)
  assert.deepEqual(signals, [], 'nobody else holds it')
  assert.equal(await keeper.acquire(Deadline.in(clock, 1_000)), 'won')
  fence.arm()
  await runLoop(clock, keeper, 3 * TTL_MS)
  assert.deepEqual(signals, [])
})

test('the leader key deleted and not taken again: the server is gone before another could have been served for long', async () => {
  const { clock, keeper, signals, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  const goneMs = clock.monotonicMs()
  keeper.verify(undefined, position(60n))
  await clock.advance(TTL_MS)
  assert.ok(firstOf(signals, 'SIGINT') - goneMs <= 700, signals.join())
  assert.ok(firstOf(signals, 'SIGKILL') - goneMs <= 1_500, signals.join())
})

test('another name in the key leaves one margin and no more', async () => {
  const { clock, keeper, signals, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  const goneMs = clock.monotonicMs()
  keeper.verify({ name: 'pg2', createRevision: 70n, modRevision: 70n, leaseId: 9n }, position(70n))
  await clock.advance(TTL_MS)
  assert.ok(firstOf(signals, 'SIGKILL') - goneMs <= 620, signals.join())
})

for (const [from, to] of [
  [5, 30],
  [3, 20],
  [30, 5],
] as const) {
  test(`ttl changed from ${from} to ${to} under a leader: no signal, and the new lease has the new length`, async () => {
    const { clock, keeper, signals, lead } = scene({ ...timings, ttlMs: from * 1_000 })
    await lead()
    await runLoop(clock, keeper, 10_000)
    keeper.setTimings({ ...timings, ttlMs: to * 1_000 })
    await runLoop(clock, keeper, 400)
    assert.equal(keeper.ttlMs, from * 1_000, 'until a lease was granted for it the old one counts')
    await keeper.ensureLease(Deadline.in(clock, 1_000))
    assert.equal(keeper.ttlMs, to * 1_000)
    await runLoop(clock, keeper, 60_000)
    assert.deepEqual(signals, [])
    assert.ok(keeper.leftMs() > to * 1_000 * 0.6)
  })
}

test('etcd that grants more than was asked for is asked once, and our deadline is the one we asked for', async () => {
  const { clock, keeper, store, lead } = scene()
  store.ttlSecondsMin = 8
  await lead()
  const id = keeper.leaseId
  for (let turn = 0; turn < 10; turn += 1) {
    await runLoop(clock, keeper, 1_000)
    await keeper.ensureLease(Deadline.in(clock, 1_000))
  }
  assert.equal(keeper.leaseId, id)
  assert.ok(keeper.leftMs() <= TTL_MS)
})

test('a release whose answer did not come: the lease is not renewed any more and takes the key with it', async () => {
  const { clock, keeper, store, lead } = scene()
  await lead()
  store.answer = 'unknown'
  assert.equal(await keeper.release(Deadline.in(clock, 1_000)), 'unknown')
  store.answer = 'won'
  const before = store.keepAlives
  await runLoop(clock, keeper, TTL_MS)
  assert.equal(store.keepAlives, before)
  assert.equal(keeper.leaseId, undefined)
})

test('a restore to a revision between the last read and our own write is noticed', async () => {
  const { keeper, lost, lead } = scene()
  keeper.verify(undefined, position(40n))
  await lead()
  keeper.verify(undefined, position(45n))
  assert.deepEqual(lost, ['etcd was restored or replaced'])
})

test('a read that was sent before our write and answered with an older revision is only late', async () => {
  const { keeper, lost, lead } = scene()
  keeper.verify(undefined, position(40n))
  const asked = keeper.ask()
  await lead()
  keeper.verify(undefined, position(45n), asked)
  assert.deepEqual(lost, [])
  assert.equal(keeper.ask().seen?.revision, 50n)
})

test('a renewal that was on its way while the machine slept does not give the slept time back', async () => {
  const { clock, keeper, store, lead, suspend } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  store.latencyMs = 450
  keeper.noteTurn()
  // The renewal leaves, the machine sleeps, the answer comes.
  await clock.advance(850)
  suspend(3_000)
  await clock.advance(600)
  store.answer = 'unknown'
  assert.ok(
    keeper.safeUntilMs <= clock.monotonicMs() + TTL_MS - 3_000,
    `${keeper.safeUntilMs - clock.monotonicMs()} ms`,
  )
})

test('a machine that slept between the lease and the answer to the acquire has that much less of the lease', async () => {
  const { clock, keeper, store } = scene()
  store.writeLatencyMs = 400
  const acquired = keeper.acquire(Deadline.in(clock, 5_000))
  await clock.advance(100)
  keeper.loseTime(3_000)
  await clock.advance(400)
  assert.equal(await acquired, 'won')
  const leftMs = keeper.safeUntilMs - clock.monotonicMs()
  assert.ok(leftMs <= TTL_MS - 3_000, `${leftMs} ms`)
})

test('a key that is adopted after a sleep does not give the slept time back', async () => {
  const { clock, keeper } = scene()
  const leaseId = await keeper.ensureLease(Deadline.in(clock, 1_000))
  keeper.loseTime(3_000)
  const key = { name: 'pg1', createRevision: 50n, modRevision: 50n, leaseId }
  assert.equal(keeper.adopt(key, keeper.ask()), true)
  const leftMs = keeper.safeUntilMs - clock.monotonicMs()
  assert.ok(leftMs <= TTL_MS - 3_000, `${leftMs} ms`)
})
