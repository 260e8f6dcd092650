import assert from 'node:assert/strict'
import test from 'node:test'
import { hedge } from '../../../../src/dcs/etcd/hedge.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const after = (clock: FakeClock, delayMs: number, value: string) => () =>
  clock.sleep(delayMs).then(() => value)
const failAfter = (clock: FakeClock, delayMs: number, why: string) => () =>
  clock.sleep(delayMs).then((): string => {
    throw new Error(why)
  })

test('a quick first answer needs no second request', async () => {
  const clock = new FakeClock()
  let seconds = 0
  const result = hedge(clock, 100, after(clock, 50, 'first'), async () => {
    seconds += 1
    return 'second'
  })
  await clock.advance(1_000)
  assert.deepEqual([await result, seconds, clock.timers], ['first', 0, 0])
})

test('after the delay the second is asked, and the first of the two to answer counts', async () => {
  const clock = new FakeClock()
  const slowFirst = hedge(clock, 100, after(clock, 500, 'first'), after(clock, 10, 'second'))
  const slowSecond = hedge(clock, 100, after(clock, 150, 'first'), after(clock, 100, 'second'))
  await clock.advance(1_000)
  assert.deepEqual([await slowFirst, await slowSecond], ['second', 'first'])
})

test('when the first fails the second is asked at once', async () => {
  const clock = new FakeClock()
  const result = hedge(
    clock,
    10_000,
    failAfter(clock, 5, 'broken'),
    async () => `at ${clock.monotonicMs()} ms`,
  )
  await clock.advance(5)
  assert.equal(await result, 'at 5 ms')
})

test('only both failures fail', async () => {
  const clock = new FakeClock()
  const result = hedge(clock, 10, failAfter(clock, 50, 'one'), failAfter(clock, 5, 'two'))
  const told = assert.rejects(result, /one/)
  await clock.advance(100)
  await told
})
