import assert from 'node:assert/strict'
import test from 'node:test'
import { type CounterState, initialCounter, isTurning, step } from '../../../src/health/counter.ts'

function run(results: string, rise: number, fall: number): string {
  let state: CounterState = initialCounter
  let seen = ''
  for (const result of results) {
    state = step(state, result === '+', { rise, fall })
    seen += state.isUp ? 'U' : 'd'
  }
  return seen
}

// results, rise, fall, up or down after each
const rows: readonly (readonly [string, number, number, string])[] = [
  ['+', 1, 2, 'U'],
  ['-', 1, 2, 'd'],
  ['+-+', 1, 2, 'UUU'],
  ['+--', 1, 2, 'UUd'],
  ['+-+-+-', 1, 2, 'UUUUUU'],
  ['++', 2, 3, 'dU'],
  ['+-++', 2, 3, 'dddU'],
  ['++---++', 2, 3, 'dUUUddU'],
]
for (const [results, rise, fall, want] of rows) {
  test(`${results} with rise ${rise} and fall ${fall} gives ${want}`, () => {
    assert.equal(run(results, rise, fall), want)
  })
}

test('a counter turns from its first contrary result until it has turned or was contradicted', () => {
  const limits = { rise: 1, fall: 2 }
  const up = step(initialCounter, true, limits)
  const doubted = step(up, false, limits)
  assert.deepEqual([up, doubted, step(doubted, true, limits)].map(isTurning), [false, true, false])
})
