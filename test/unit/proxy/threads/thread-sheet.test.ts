// The few words of memory that the control thread shares with a worker.

import assert from 'node:assert/strict'
import test from 'node:test'
import { ThreadSheet } from '../../../../src/proxy/threads/thread-sheet.ts'

test('whoever closes a gate waits for the piece that a worker has in hand, and no longer than 2 ms', () => {
  const sheet = new ThreadSheet()
  const worker = new ThreadSheet(sheet.memory)
  let nowMs = 0
  let asked = 0
  const clock = () => {
    asked += 1
    nowMs += 0.5
    return nowMs
  }
  assert.equal(sheet.settle(clock), true)
  assert.equal(asked, 0, 'nothing is under way: nobody looks at the clock')
  worker.beginPassing()
  assert.equal(sheet.settle(clock), false)
  assert.ok(nowMs <= 3, `${nowMs} ms`)
  worker.beginPassing()
  const ends = () => {
    if (asked > 20) worker.endPassing()
    asked += 1
    return 0
  }
  assert.equal(sheet.settle(ends), true)
})

test('a worker knows how many of its clients have not been dealt with, however many there were before', () => {
  const sheet = new ThreadSheet()
  const worker = new ThreadSheet(sheet.memory)
  assert.equal(worker.unmet(3), 3)
  sheet.meet()
  sheet.meet()
  assert.equal(worker.unmet(3), 1)
  const words = new Int32Array(sheet.memory)
  words[1] = 2 ** 31 - 1
  sheet.meet()
  assert.equal(worker.unmet((2 ** 31 - 1 + 5) | 0), 4)
})
