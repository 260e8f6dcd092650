// What a run shows of the worlds that failed.

import assert from 'node:assert/strict'
import test from 'node:test'
import { tracesOf } from './traces-of.ts'

const failed = (seed: number, check: string) => ({ seed, check, says: 'broken' })

test('a failing world is shown by the end of its trace; one that hangs is not run again, and the next ones are shown', async () => {
  const again: number[] = []
  const texts = await tracesOf(
    [failed(7, 'hangs'), failed(8, 'stuck'), failed(9, 'hangs'), failed(10, 'exception')],
    async (seed, trace) => {
      again.push(seed)
      for (let line = 1; line <= 100; line += 1) trace.add(line * 1000, 'pg1', `line ${line} of ${seed}`)
    },
  )
  assert.deepEqual(again, [8, 10])
  assert.deepEqual(
    texts.map(text => text.split('\n')[0]),
    ['the end of seed 8', 'the end of seed 10'],
  )
  assert.match(texts[0] ?? '', /line 41 of 8\n/)
  assert.match(texts[0] ?? '', /line 100 of 8$/)
  assert.doesNotMatch(texts[0] ?? '', /line 40 of 8\n/)
})
