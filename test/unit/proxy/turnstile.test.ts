import assert from 'node:assert/strict'
import test from 'node:test'
import { Turnstile } from '../../../src/proxy/turnstile.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function open(capacity = 10) {
  const clock = new FakeClock()
  const passed: number[] = []
  const gone = new Set<number>()
  const turnstile = new Turnstile<number>({
    clock,
    perSecond: 2,
    capacity: () => capacity,
    isGone: item => gone.has(item),
    onPass: item => passed.push(item),
  })
  return { clock, passed, gone, turnstile }
}

test('who comes too often waits for a turn, in order, and nobody overtakes', async () => {
  const { clock, passed, turnstile } = open()
  for (const item of [1, 2, 3, 4, 5]) assert.equal(turnstile.take(item), true)
  assert.deepEqual(passed, [1, 2])
  await clock.advance(499)
  assert.deepEqual(passed, [1, 2])
  await clock.advance(1)
  turnstile.take(6)
  assert.deepEqual(passed, [1, 2, 3])
  await clock.advance(1500)
  assert.deepEqual([passed, turnstile.size, clock.timers], [[1, 2, 3, 4, 5, 6], 0, 0])
})

test('only so many may wait, and who has gone takes neither a place nor a turn', async () => {
  const { clock, passed, gone, turnstile } = open(2)
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(item => turnstile.take(item)),
    [true, true, true, true, false],
  )
  gone.add(3)
  assert.equal(turnstile.take(6), true)
  await clock.advance(500)
  assert.deepEqual(passed, [1, 2, 4])
  assert.deepEqual([turnstile.close(), clock.timers], [[6], 0])
})
