import assert from 'node:assert/strict'
import test from 'node:test'
import { Rate, SourceRate } from '../../../src/proxy/rate.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('a bucket gives its burst at once and then its rate', async () => {
  const clock = new FakeClock()
  const rate = new Rate(clock, 10, 3)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => rate.take()),
    [true, true, true, false],
  )
  assert.equal(rate.waitMs(), 100)
  await clock.advance(100)
  assert.deepEqual([rate.take(), rate.take()], [true, false])
})

test('one source that is loud does not take from another, and the memory of sources is bounded', () => {
  const rates = new SourceRate(new FakeClock(), 1)
  assert.deepEqual([rates.take('a'), rates.take('a'), rates.take('b')], [true, false, true])
  for (let index = 0; index < 20_000; index += 1) rates.take(`10.0.${index}`)
  assert.equal(rates.size, 10_000)
})
