import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline, DeadlineError } from '../../../src/platform/deadline.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('timers fire in the order of their times, each at its own time, those that they set included', async () => {
  const clock = new FakeClock()
  const fired: [string, number][] = []
  const note = (name: string) => fired.push([name, clock.monotonicMs()])
  clock.setTimer(30, () => note('third'))
  clock.setTimer(10, () => {
    note('first')
    clock.setTimer(10, () => note('second'))
  })
  await clock.advance(25)
  assert.deepEqual(fired, [
    ['first', 10],
    ['second', 20],
  ])
  await clock.advance(5)
  assert.deepEqual(fired.at(-1), ['third', 30])
})

test('what waits for a timer runs before the next timer fires', async () => {
  const clock = new FakeClock()
  const seen: number[] = []
  const loop = async () => {
    for (let count = 0; count < 5; count += 1) {
      await clock.sleep(10)
      seen.push(clock.monotonicMs())
    }
  }
  const done = loop()
  await clock.advance(50)
  await done
  assert.deepEqual(seen, [10, 20, 30, 40, 50])
})

test('a cancelled timer does not fire and is not counted', async () => {
  const clock = new FakeClock()
  const timer = clock.setTimer(10, () => assert.fail('fired'))
  assert.equal(clock.timers, 1)
  timer.cancel()
  assert.equal(clock.timers, 0)
  await clock.advance(20)
})

test('a jump lets time pass unnoticed, as a stopped process does', async () => {
  const clock = new FakeClock()
  let firedAtMs = 0
  clock.setTimer(10, () => {
    firedAtMs = clock.monotonicMs()
  })
  clock.jump(1_000)
  assert.equal(firedAtMs, 0)
  await clock.advance(0)
  assert.equal(firedAtMs, 1_000)
})

test('the wall clock moves by itself and changes no deadline', async () => {
  const clock = new FakeClock()
  const wallMs = clock.wallMs()
  const work = Deadline.in(clock, 100).run('waiting', () => new Promise(() => {}))
  const failed = assert.rejects(work, DeadlineError)
  clock.stepWall(3_600_000)
  assert.equal(clock.wallMs(), wallMs + 3_600_000)
  await clock.advance(99)
  assert.equal(clock.timers, 1)
  await clock.advance(1)
  await failed
})
