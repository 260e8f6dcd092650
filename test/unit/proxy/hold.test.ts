import assert from 'node:assert/strict'
import test from 'node:test'
import { HoldQueue } from '../../../src/proxy/hold.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function queue(capacity = 3, holdMs = 1000) {
  const clock = new FakeClock()
  const expired: string[] = []
  const hold = new HoldQueue<string>({
    clock,
    capacity,
    holdMs,
    onExpired: item => expired.push(`${item} at ${clock.monotonicMs()}`),
  })
  return { clock, hold, expired }
}

test('items leave in the order of their arrival', async () => {
  const { clock, hold } = queue()
  for (const item of ['a', 'b', 'c']) {
    assert.equal(hold.offer(item, clock.monotonicMs()), true)
    await clock.advance(10)
  }
  assert.deepEqual(hold.takeAll(), ['a', 'b', 'c'])
  assert.deepEqual([hold.size, clock.timers], [0, 0])
})

test('a full queue takes nobody, and a place that was left is free again', () => {
  const { hold } = queue(2)
  assert.deepEqual(
    ['a', 'b', 'c'].map(item => hold.offer(item, 0)),
    [true, true, false],
  )
  assert.equal(hold.leave('a'), true)
  assert.equal(hold.leave('a'), false)
  assert.equal(hold.offer('c', 0), true)
  assert.deepEqual(hold.takeAll(), ['b', 'c'])
})

test('each item expires when its own time is up', async () => {
  const { clock, hold, expired } = queue()
  hold.offer('a', 0)
  await clock.advance(400)
  hold.offer('b', 400)
  await clock.advance(700)
  assert.deepEqual(expired, ['a at 1000'])
  await clock.advance(1000)
  assert.deepEqual(expired, ['a at 1000', 'b at 1400'])
  assert.equal(clock.timers, 0)
})

test('an item that comes back keeps its turn and its time', async () => {
  const { clock, hold, expired } = queue()
  hold.offer('a', 0)
  assert.deepEqual(hold.takeAll(), ['a'])
  await clock.advance(500)
  hold.offer('b', 500)
  hold.offer('a', 0)
  await clock.advance(600)
  assert.deepEqual(expired, ['a at 1000'])
  assert.deepEqual(hold.takeAll(), ['b'])
})

test('an item whose time is already up is not queued', async () => {
  const { clock, hold } = queue()
  await clock.advance(1000)
  assert.equal(hold.offer('a', 0), false)
})

test('after a pause of the process all that is overdue expires at once, the rest waits on', async () => {
  const { clock, hold, expired } = queue()
  hold.offer('a', 0)
  hold.offer('b', 0)
  clock.jump(800)
  hold.offer('c', 800)
  clock.jump(900)
  await clock.advance(1)
  assert.deepEqual(expired, ['a at 1700', 'b at 1700'])
  assert.equal(hold.size, 1)
})

test('a hold time of nothing queues nobody', () => {
  const { hold } = queue(3, 0)
  assert.equal(hold.offer('a', 0), false)
})
