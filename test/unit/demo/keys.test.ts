import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import type { ReadStream } from 'node:tty'
import { listen, type Wish, wishesOf } from '../../../src/demo/show/keys.ts'

const rows: readonly (readonly [what: string, input: string, wishes: readonly Wish[]])[] = [
  ['the four faults', 'kafs', ['kill', 'agent', 'freeze', 'switchover']],
  ['capitals', 'KS', ['kill', 'switchover']],
  ['help by both keys', 'h?', ['help', 'help']],
  ['q, Ctrl-C and Ctrl-D', 'q\x03\x04', ['quit', 'quit', 'quit']],
  ['a line of a pipe', 's\n', ['switchover']],
  ['arrows, whose last letter is a key of ours elsewhere', '\x1b[A\x1b[B\x1bOA', []],
  ['a function key with numbers, then a key', '\x1b[15~k', ['kill']],
  ['the escape key alone', '\x1b', []],
  ['what means nothing', 'xyz 123', []],
]
for (const [what, input, wishes] of rows) {
  test(`${what}: ${wishes.join(', ') || 'nothing'}`, () => assert.deepEqual(wishesOf(input), wishes))
}

test('a terminal is in raw mode while it is listened to, and as it was afterwards', async () => {
  const modes: boolean[] = []
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => modes.push(on) })
  const heard: Wish[] = []
  const stop = listen(input as unknown as ReadStream, wish => heard.push(wish))
  input.write('\x03')
  await new Promise(resolve => setImmediate(resolve))
  stop()
  input.write('k')
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual([heard, modes, input.isPaused()], [['quit'], [true, false], true])
})
