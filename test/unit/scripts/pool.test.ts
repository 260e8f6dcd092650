import assert from 'node:assert/strict'
import test from 'node:test'
import { runPool } from '../../../scripts/lib/tests/pool.js'

test('results keep the order of the list and no more items run at once than allowed', async () => {
  let running = 0
  let most = 0
  const results = await runPool([30, 5, 20, 1], 2, async ms => {
    running += 1
    most = Math.max(most, running)
    await new Promise(resolve => setTimeout(resolve, ms))
    running -= 1
    return ms * 2
  })
  assert.deepEqual(results, [60, 10, 40, 2])
  assert.equal(most, 2)
})

test('the first item needs no room, one beside others waits for it, one at a time', async () => {
  const log: string[] = []
  const free: (() => void)[] = []
  const done: (() => void)[] = []
  const pool = runPool(
    ['a', 'b', 'c'],
    3,
    item => {
      log.push(item)
      return new Promise<void>(resolve => done.push(resolve))
    },
    () => {
      log.push('asks')
      return new Promise<void>(resolve => free.push(resolve))
    },
  )
  await settled()
  assert.deepEqual(log, ['a', 'asks'])
  free[0]?.()
  await settled()
  assert.deepEqual(log, ['a', 'asks', 'b', 'asks'])
  free[1]?.()
  await settled()
  assert.deepEqual(log, ['a', 'asks', 'b', 'asks', 'c'])
  for (const end of done) end()
  await pool
})

const settled = () => new Promise(resolve => setImmediate(resolve))
