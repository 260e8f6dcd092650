// When a thread may reset servers: not before the clients of all threads have been told.

import assert from 'node:assert/strict'
import test from 'node:test'
import { CutBoard } from '../../../../src/proxy/threads/cut-board.ts'

test('cuts are under way until every thread has told its clients', () => {
  const control = new CutBoard(2)
  const [one, two] = [new CutBoard(control.memory), new CutBoard(control.memory)]
  assert.equal(one.isPending(), false)
  for (let count = 0; count < 3; count += 1) control.order(1)
  control.order(2)
  assert.deepEqual([one.isPending(), two.isPending()], [true, true])
  one.told(1, 3)
  assert.deepEqual([one.isPending(), control.isPendingIn(1), control.isPendingIn(2)], [true, false, true])
  two.told(2, 1)
  assert.deepEqual([one.isPending(), two.isPending(), control.isPending()], [false, false, false])
})

test('a thread that died with clients untold keeps nobody waiting once another takes its place', () => {
  const board = new CutBoard(3)
  board.order(2)
  board.order(3)
  board.told(3, 1)
  assert.equal(board.isPending(), true)
  board.clear(2)
  assert.equal(board.isPending(), false)
})
