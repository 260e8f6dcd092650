import assert from 'node:assert/strict'
import test from 'node:test'
import { trySeed } from './seed.ts'
import { Trace } from './trace.ts'

async function lived(seed: number) {
  const trace = new Trace()
  const { world } = await trySeed(seed, trace)
  return { lines: trace.lines, events: world.scheduler.executed, counts: world.counts.toJson() }
}

for (const seed of [1, 7, 19]) {
  test(`the world of seed ${seed} is the same each time`, async () => {
    const [first, second] = [await lived(seed), await lived(seed)]
    assert.ok(first.lines.length > 30)
    assert.deepEqual(second.lines, first.lines)
    assert.equal(second.events, first.events)
    assert.deepEqual(second.counts, first.counts)
  })
}

test('a trace that is kept changes nothing', async () => {
  const { world } = await trySeed(7)
  assert.deepEqual(world.counts.toJson(), (await lived(7)).counts)
})

test('another seed is another world', async () => {
  assert.notDeepEqual((await lived(1)).lines, (await lived(2)).lines)
})
