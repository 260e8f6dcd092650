import assert from 'node:assert/strict'
import test from 'node:test'
import { MARGIN_MS, position, runLoop, scene, TTL_MS, timings } from './keeper-scene.ts'

test('the lease is renewed every ttl/6 and the fence stays calm for a minute', async () => {
  const { clock, keeper, store, signals, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 60_000)
  assert.deepEqual(signals, [])
  assert.ok(store.keepAlives >= 60 && store.keepAlives <= 75, `${store.keepAlives} renewals in 60 s`)
})

test('the deadline counts from before the renewal left, however slow the answer', async () => {
  const { clock, keeper, store, lead } = scene()
  await lead()
  store.latencyMs = 400
  await runLoop(clock, keeper, 3_000)
  const sentAtLatestMs = clock.monotonicMs() - 400
  assert.ok(keeper.safeUntilMs <= sentAtLatestMs + TTL_MS - MARGIN_MS)
})

for (const answer of ['unreachable', 'unknown'] as const) {
  test(`renewals that end ${answer} do not move the deadline: fast, immediate, kill, in time`, async () => {
    const { clock, keeper, store, signals, fenced, lead } = scene()
    await lead()
    const safeUntilMs = keeper.safeUntilMs
    store.answer = answer
    await runLoop(clock, keeper, 10_000)
    const times = signals.map(line => [Number(line.split(' ')[0]), line.split(' ')[1]] as const)
    const first = (name: string) => times.find(([, signal]) => signal === name)?.[0] ?? Number.NaN
    assert.ok(first('SIGINT') - (safeUntilMs - TTL_MS / 6) <= 100, 'fast stop begins ttl/6 before')
    assert.ok(first('SIGQUIT') - (safeUntilMs - MARGIN_MS / 2) <= 20, 'immediate stop half a margin before')
    assert.ok(first('SIGKILL') - safeUntilMs <= 20, 'kill at the deadline')
    assert.ok(first('SIGKILL') >= safeUntilMs)
    assert.equal(fenced.length, 1)
  })
}

test('killing goes on until no process of the server is left', async () => {
  const { clock, store, server, fence, lead } = scene()
  await lead()
  store.answer = 'unreachable'
  server.family = 5
  await clock.advance(5_000)
  assert.equal(server.family, 0)
  assert.equal(fence.isActing, false, 'disarmed once a look found nothing')
})

test('a lease that etcd no longer knows leaves one margin for an orderly stop', async () => {
  const { clock, keeper, store, signals, lost, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  store.answer = 'lost'
  await runLoop(clock, keeper, 1_000)
  assert.deepEqual(lost, ['the lease ended in etcd'])
  await runLoop(clock, keeper, 1_000)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('a hung loop loses the lease though etcd answers', async () => {
  const { clock, keeper, signals, lead } = scene()
  await lead()
  keeper.noteTurn()
  await clock.advance(4_000)
  assert.equal(signals.length, 0, 'within loop_wait + retry_timeout + 2 s renewing goes on')
  await clock.advance(6_000)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('a process that was frozen past its deadline kills first and is no leader', async () => {
  const { clock, keeper, signals, store, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  store.answer = 'unknown'
  clock.jump(15_000)
  assert.equal(keeper.leftMs(), 0)
  await clock.advance(1)
  assert.match(signals[0] ?? '', /SIGKILL$/, 'nothing gentler comes first')
})

test('a freeze shorter than the lease puts leadership in doubt until the key is read', async () => {
  const { clock, keeper, signals, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  clock.jump(1_500)
  await clock.advance(1)
  assert.equal(keeper.leftMs(), 0)
  const { hold } = keeper
  assert.ok(hold)
  keeper.verify(hold, position(60n))
  assert.ok(keeper.leftMs() > 0)
  assert.deepEqual(signals, [])
})

test('suspend ends the lease though the monotonic clock stood still', async () => {
  const { clock, keeper, signals, store, lead, suspend } = scene()
  await lead()
  await runLoop(clock, keeper, 1_000)
  store.answer = 'unknown'
  suspend(60_000)
  await clock.advance(200)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('the wall clock moved by an hour either way changes nothing', async () => {
  const { clock, keeper, signals, lead } = scene()
  await lead()
  for (const shiftMs of [3_600_000, -7_200_000]) {
    clock.stepWall(shiftMs)
    await runLoop(clock, keeper, 10_000)
  }
  assert.deepEqual(signals, [])
  assert.ok(keeper.leftMs() > 0)
})

test('another name in the key ends the hold; an answer older than our own write does not', async () => {
  const { keeper, lost, lead } = scene()
  await lead()
  keeper.verify(undefined, position(40n))
  assert.deepEqual(lost, [], 'revision 40 is from before our key was written at 50')
  keeper.verify({ name: 'pg2', createRevision: 70n, modRevision: 70n, leaseId: 9n }, position(70n))
  assert.deepEqual(lost, ['the leader key belongs to pg2 now'])
})

test('another cluster id or a smaller revision than read before ends the hold', async () => {
  for (const after of [position(70n, 'c2'), position(60n)]) {
    const { keeper, lost, lead } = scene()
    await lead()
    const { hold } = keeper
    assert.ok(hold)
    keeper.verify(hold, position(70n))
    keeper.verify(hold, after)
    assert.deepEqual(lost, ['etcd was restored or replaced'])
  }
})

test('release deletes the key once and the hold is gone whatever the answer', async () => {
  const { keeper, store, lead } = scene()
  await lead()
  store.answer = 'unknown'
  const by = { remainingMs: () => 1_000 } as never
  assert.equal(await keeper.release(by), 'unknown')
  assert.equal(keeper.hold, undefined)
  assert.deepEqual(store.writes.at(-1), [{ kind: 'delete', key: 'leader' }])
})

test('an etcd that answers after a third of the ttl holds the lease: renewals overlap', async () => {
  const { clock, store, keeper, fence, lost, signals, lead } = scene()
  await lead()
  store.latencyMs = 1_800
  let leastMs = TTL_MS
  for (let second = 0; second < 30; second += 1) {
    await runLoop(clock, keeper, 1_000)
    leastMs = Math.min(leastMs, keeper.leftMs())
  }
  assert.deepEqual([lost, signals], [[], []])
  assert.ok(leastMs > TTL_MS / 6, `${leastMs} ms were left at the least`)
  fence.stop()
  keeper.stop()
})

test('renewals that nobody answers stay few', async () => {
  const { clock, store, keeper, fence, lead } = scene()
  await lead()
  store.latencyMs = 1_000_000
  const before = store.keepAlives
  await runLoop(clock, keeper, 60_000)
  assert.equal(store.keepAlives - before, 5)
  fence.stop()
  keeper.stop()
})

test('a renewal that is answered after a later one takes no time away', async () => {
  const { clock, store, keeper, fence, lead } = scene()
  await lead()
  store.latencyMs = 1_500
  await runLoop(clock, keeper, 1_000)
  store.latencyMs = 10
  await runLoop(clock, keeper, 1_000)
  const leftMs = keeper.leftMs()
  await runLoop(clock, keeper, 500)
  assert.ok(keeper.leftMs() >= leftMs - 500, `${keeper.leftMs()} ms are left, ${leftMs} ms half a second ago`)
  fence.stop()
  keeper.stop()
})

// The key may hang on the shorter lease already, and that one nobody renews before the answer is known.
test('while a move to a shorter lease is unanswered, renewals of the old one do not carry the deadline beyond it', async () => {
  const { clock, keeper, store, signals, lead } = scene({ ...timings, ttlMs: 30_000 })
  await lead()
  await runLoop(clock, keeper, 6_000)
  store.writeLatencyMs = 20_000
  keeper.setTimings(timings)
  const movedAtMs = clock.monotonicMs()
  const moving = keeper.ensureLease({ remainingMs: () => 20_000 } as never)
  await runLoop(clock, keeper, TTL_MS)
  assert.ok(keeper.safeUntilMs <= movedAtMs + TTL_MS - MARGIN_MS, `${keeper.safeUntilMs - movedAtMs} ms`)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
  await clock.advance(20_000)
  await moving
})

test('a move to a longer lease takes nothing from the shorter one', async () => {
  const { clock, keeper, store, signals, lead } = scene()
  await lead()
  store.writeLatencyMs = 2_000
  keeper.setTimings({ ...timings, ttlMs: 30_000 })
  const moving = keeper.ensureLease({ remainingMs: () => 20_000 } as never)
  await runLoop(clock, keeper, 3_000)
  await moving
  assert.equal(keeper.ttlMs, 30_000)
  assert.ok(keeper.leftMs() > 20_000)
  assert.deepEqual(signals, [])
})

test('a move that etcd surely did not take costs no leadership: the old lease goes on', async () => {
  const { clock, keeper, store, lost, signals, lead } = scene()
  await lead()
  keeper.setTimings({ ...timings, ttlMs: 30_000 })
  store.answer = 'unreachable'
  await assert.rejects(
    keeper.ensureLease({ remainingMs: () => 1_000 } as never),
    /could not move to a new lease/,
  )
  store.answer = 'won'
  await runLoop(clock, keeper, 10_000)
  assert.deepEqual([lost, signals], [[], []])
  await keeper.ensureLease({ remainingMs: () => 1_000 } as never)
  assert.equal(keeper.ttlMs, 30_000)
})

// A raft leader that is cut off together with us renews our lease for a moment, while the others have elected another one
// and count the whole ttl from then.
test('renewals alone do not carry the deadline beyond a ttl after the last linearizable answer was asked for', async () => {
  const { clock, keeper, store, signals, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 2_000)
  const hold = keeper.hold
  assert.ok(hold !== undefined)
  const asked = keeper.ask()
  await clock.advance(900)
  keeper.verify(hold, position(60n), asked)
  for (let passedMs = 0; passedMs < TTL_MS; passedMs += 500) {
    keeper.noteTurn()
    await clock.advance(500)
    assert.ok(keeper.safeUntilMs <= asked.atMs + TTL_MS, `${keeper.safeUntilMs - asked.atMs} ms`)
  }
  assert.ok(store.keepAlives > 4, 'and etcd took every renewal')
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('an answer that was asked for before the machine slept does not give the slept time back', async () => {
  const { clock, keeper, lead } = scene()
  await lead()
  await runLoop(clock, keeper, 1_000)
  const [asked, hold] = [keeper.ask(), keeper.hold]
  keeper.loseTime(3_000)
  keeper.noteTurn()
  await clock.advance(1_000)
  assert.ok(hold !== undefined)
  keeper.verify(hold, position(60n), asked)
  assert.ok(keeper.safeUntilMs <= asked.atMs + TTL_MS - 3_000, `${keeper.safeUntilMs - asked.atMs} ms`)
})

// A backup of etcd from the time of an earlier term names us on the lease of that term. Somebody else has led since.
test('a lease serves one term: a key that a restored etcd has on an earlier one is not ours', async () => {
  const { keeper, lead } = scene()
  for (const end of [
    () => keeper.release({ remainingMs: () => 1_000 } as never),
    async () =>
      keeper.verify({ name: 'pg2', createRevision: 90n, modRevision: 90n, leaseId: 9n }, position(90n)),
    async () => keeper.verify(undefined, position(95n)),
  ]) {
    await lead()
    const { hold } = keeper
    assert.ok(hold !== undefined)
    await end()
    assert.equal(keeper.hold, undefined)
    await keeper.ensureLease({ remainingMs: () => 1_000 } as never)
    assert.notEqual(keeper.leaseId, hold.leaseId)
    assert.equal(keeper.adopt(hold, keeper.ask()), false)
  }
})
