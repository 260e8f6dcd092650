import assert from 'node:assert/strict'
import test from 'node:test'
import { createTell } from '../../../src/dcs/tell.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('the same about the same is told once in ten seconds, and what was left out is counted', async () => {
  const clock = new FakeClock()
  const told: string[] = []
  const tell = createTell(clock, ({ kind, says }) => void told.push(`${kind}: ${says}`))
  for (let count = 0; count < 5; count += 1) tell('slow', 'm0 is slow', { about: 'm0' })
  tell('slow', 'm1 is slow', { about: 'm1' })
  tell('lost', 'm0 is lost', { about: 'm0' })
  await clock.advance(10_000)
  tell('slow', 'm0 is slow', { about: 'm0' })
  assert.deepEqual(told, [
    'slow: m0 is slow',
    'slow: m1 is slow',
    'lost: m0 is lost',
    'slow: m0 is slow (and 4 more of it)',
  ])
})
