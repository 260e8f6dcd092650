import assert from 'node:assert/strict'
import test from 'node:test'
import { Turnstile } from '../../../src/proxy/turnstile.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function open() {
  const clock = new FakeClock()
  const passed: number[] = []
  const turnstile = new Turnstile<number>({ clock, perSecond: 2, onPass: item => passed.push(item) })
  const come = (item: number) => (turnstile.pass() ? passed.push(item) : turnstile.wait(item))
  return { clock, passed, turnstile, come }
}

test('who comes too often waits for a turn, in order, and nobody overtakes', async () => {
  const { clock, passed, turnstile, come } = open()
  for (const item of [1, 2, 3, 4, 5]) come(item)
  assert.deepEqual(passed, [1, 2])
  await clock.advance(499)
  assert.deepEqual(passed, [1, 2])
  await clock.advance(1)
  come(6)
  assert.deepEqual(passed, [1, 2, 3])
  await clock.advance(1500)
  assert.deepEqual([passed, turnstile.size, clock.timers], [[1, 2, 3, 4, 5, 6], 0, 0])
})

test('who leaves takes no turn, and the last to leave stops the clock', async () => {
  const { clock, passed, turnstile, come } = open()
  for (const item of [1, 2, 3, 4, 5]) come(item)
  turnstile.leave(3)
  await clock.advance(500)
  assert.deepEqual([passed, turnstile.size], [[1, 2, 4], 1])
  turnstile.leave(5)
  assert.deepEqual([turnstile.close(), clock.timers], [[], 0])
  come(6)
  await clock.advance(500)
  assert.deepEqual([passed, clock.timers], [[1, 2, 4, 6], 0])
})
