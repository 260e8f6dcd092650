import assert from 'node:assert/strict'
import test from 'node:test'
import { Gate } from '../../../src/proxy/backend.ts'
import { SuspendWatch } from '../../../src/proxy/pause-watch.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ledByPg1 } from './world.ts'

/** A clock that stands still in a suspend, and the time since boot, which does not. */
function watched() {
  const clock = new FakeClock()
  const slept: number[] = []
  const boot = { aheadMs: 5_000_000 }
  const bootMs = () => clock.monotonicMs() + boot.aheadMs
  const watch = new SuspendWatch({ clock, bootMs, onSuspended: ms => slept.push(Math.round(ms)) })
  return { clock, slept, boot, watch }
}

test('a suspend is noticed by the tick, though the monotonic clock stood still', async () => {
  const { clock, slept, boot, watch } = watched()
  watch.start()
  await clock.advance(1000)
  boot.aheadMs += 40_000
  await clock.advance(200)
  watch.stop()
  assert.deepEqual([slept, clock.timers], [[40_000], 0])
})

test('a suspend is noticed by the first byte after it, before it passes', async () => {
  const { clock, boot } = watched()
  const gate: Gate = new Gate(clock, {
    check: () => watch.check(),
  })
  const watch = new SuspendWatch({
    clock,
    bootMs: () => clock.monotonicMs() + boot.aheadMs,
    onSuspended: () => gate.close('evidence-expired', 'the host slept'),
  })
  gate.untilMs = 60_000
  await clock.advance(100)
  assert.equal(gate.isOpen(), true)
  boot.aheadMs += 600
  clock.stepWall(600)
  await clock.advance(1)
  assert.equal(gate.isOpen(), false)
})

test('a suspend that the wall clock hides is noticed 20 ms later, and a step of the wall clock alone is none', async () => {
  const { clock, slept, boot, watch } = watched()
  boot.aheadMs += 40_000
  await clock.advance(10)
  watch.check()
  assert.deepEqual(slept, [])
  await clock.advance(10)
  watch.check()
  assert.deepEqual(slept, [40_000])
  clock.stepWall(-3_600_000)
  await clock.advance(1)
  watch.check()
  assert.deepEqual(slept, [40_000])
})

test('small steps between the clocks do not add up to a suspend', async () => {
  const { clock, slept, boot, watch } = watched()
  watch.start()
  for (let step = 0; step < 20; step += 1) {
    boot.aheadMs += 100
    await clock.advance(200)
  }
  watch.stop()
  assert.deepEqual(slept, [])
})

test('after a suspend every proof is void: sessions are cut, and the route begins again with new answers', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  const guest = world.enter()
  assert.ok(guest !== undefined)
  world.router.applySleep(40_000)
  assert.deepEqual([guest.cutBecause, world.enter()], ['evidence-expired', undefined])
  await world.clock.advance(600)
  assert.equal(world.enter()?.backend.name, 'pg1')
  assert.match(world.said('host-slept').join(), /slept for 40\.0 s/)
})
