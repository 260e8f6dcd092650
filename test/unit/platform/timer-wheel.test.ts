import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK_MS, WheelClock } from '../../../src/platform/timer-wheel.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A wheel, and when each timer of it fired. */
function wheelOf() {
  const clock = new FakeClock()
  const wheel = new WheelClock(clock)
  const fired: [name: string, atMs: number][] = []
  const arm = (name: string, delayMs: number) =>
    wheel.setTimer(delayMs, () => fired.push([name, clock.monotonicMs()]))
  return { clock, wheel, fired, arm }
}

test('a short timer is exact', async () => {
  const { clock, fired, arm } = wheelOf()
  clock.jump(33)
  arm('a', 150)
  await clock.advance(1_000)
  assert.deepEqual(fired, [['a', 183]])
})

for (const delayMs of [1_000, 1_001, 5_050, 25_500, 25_600, 25_700, 60_000, 1_800_000]) {
  test(`a timer of ${delayMs} ms fires once, not sooner, and a tick later at most`, async () => {
    const { clock, wheel, fired, arm } = wheelOf()
    clock.jump(12_345)
    arm('a', delayMs)
    await clock.advance(delayMs + 60_000)
    const [[, atMs] = ['', 0], ...more] = fired
    assert.deepEqual(more, [])
    assert.ok(atMs >= 12_345 + delayMs && atMs <= 12_345 + delayMs + TICK_MS, `${atMs}`)
    assert.equal(wheel.size, 0)
  })
}

test('one that is taken back never fires, and nothing is left that ticks', async () => {
  const { clock, wheel, fired, arm } = wheelOf()
  const timers = ['a', 'b', 'c'].map(name => arm(name, 2_000))
  timers[1]?.cancel()
  timers[1]?.cancel()
  await clock.advance(3_000)
  assert.deepEqual(
    fired.map(([name]) => name),
    ['a', 'c'].toReversed(),
  )
  timers[0]?.cancel()
  assert.equal(wheel.size, 0)
  await clock.advance(TICK_MS)
  assert.equal(clock.timers, 0)
})

test('one that fires may take another back that is due as well', async () => {
  const { clock, wheel, fired, arm } = wheelOf()
  wheel.setTimer(1_000, () => later.cancel())
  const later = arm('later', 1_100)
  clock.jump(5_000)
  await clock.advance(0)
  assert.deepEqual(fired, [])
})

test('one that fires may set the next, at any length', async () => {
  const { clock, wheel, fired, arm } = wheelOf()
  wheel.setTimer(1_000, () => {
    // The callbacks of a tick may take longer than the next tick.
    clock.jump(350)
    arm('next', 1_000)
  })
  arm('beside', 1_200)
  await clock.advance(4_000)
  assert.deepEqual(
    fired.map(([name]) => name),
    ['beside', 'next'],
  )
  assert.ok((fired[1]?.[1] ?? 0) <= 1_000 + 350 + 1_000 + 2 * TICK_MS, fired.join())
})

test('after a long sleep of the process all that are due fire, in the order of their times', async () => {
  const { clock, fired, arm } = wheelOf()
  for (const [name, delayMs] of Object.entries({ c: 90_000, a: 1_000, d: 3_600_000, b: 26_600 }))
    arm(name, delayMs)
  clock.jump(3_599_000)
  await clock.advance(0)
  assert.deepEqual(
    fired.map(([name]) => name),
    ['a', 'b', 'c'],
  )
  await clock.advance(1_000 + TICK_MS)
  assert.equal(fired.at(-1)?.[0], 'd')
})

test('ten thousand timers cost one of the runtime', () => {
  const { clock, wheel, arm } = wheelOf()
  const timers = Array.from({ length: 10_000 }, (_, index) => arm(`${index}`, 60_000 + index))
  assert.equal(clock.timers, 1)
  assert.equal(wheel.size, 10_000)
  for (const timer of timers) timer.cancel()
  assert.equal(wheel.size, 0)
})
