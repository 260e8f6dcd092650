import assert from 'node:assert/strict'
import test from 'node:test'
import { DRAINING_MAX, Draining, HEARD_WITHIN_MS } from '../../../src/proxy/draining.ts'
import { FakeClock } from '../../support/fake-clock.ts'

class Leaver {
  isDestroyed = false

  destroy(): void {
    this.isDestroyed = true
  }
}

const nextRound = () => new Promise(resolve => setImmediate(resolve))

test('of too many that say farewell the oldest end without, behind the words to all that are cut with them', async () => {
  const clock = new FakeClock()
  const draining = new Draining<Leaver>(clock)
  const leavers: Leaver[] = []
  const destroyed = () => leavers.filter(({ isDestroyed }) => isDestroyed)
  for (let round = 0; round < 5; round += 1) {
    for (let each = 0; each < DRAINING_MAX; each += 1) {
      const leaver = new Leaver()
      leavers.push(leaver)
      draining.add(leaver)
    }
    await nextRound()
    assert.equal(destroyed().length, 0, `while the cut is under way: round ${round}`)
  }
  for (let round = 0; round < 3; round += 1) await nextRound()
  await clock.advance(HEARD_WITHIN_MS - 1)
  assert.equal(destroyed().length, 0, 'who has heard the words closes by itself')
  const heard = leavers.splice(0, 500)
  for (const leaver of heard) draining.delete(leaver)
  await clock.advance(1)
  for (let round = 0; round < 3; round += 1) await nextRound()
  assert.deepEqual(destroyed(), leavers.slice(0, -DRAINING_MAX))
  assert.equal(draining.size, leavers.length, 'each is counted until it is gone')
})

test('who comes and comes in every round does not keep the oldest for ever', async () => {
  const clock = new FakeClock()
  const draining = new Draining<Leaver>(clock)
  const first = new Leaver()
  draining.add(first)
  let turns = 0
  while (!first.isDestroyed && turns < 400) {
    turns += 1
    await clock.advance(5)
    for (let each = 0; each < 100; each += 1) draining.add(new Leaver())
    await nextRound()
  }
  assert.ok(first.isDestroyed, `not in ${turns} rounds`)
})

test('as many as there may be are left alone', async () => {
  const draining = new Draining<Leaver>(new FakeClock())
  const leavers = Array.from({ length: DRAINING_MAX }, () => new Leaver())
  for (const leaver of leavers) draining.add(leaver)
  for (let round = 0; round < 5; round += 1) await nextRound()
  assert.ok(leavers.every(({ isDestroyed }) => !isDestroyed))
})
