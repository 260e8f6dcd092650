import assert from 'node:assert/strict'
import test from 'node:test'
import { nextInTurn } from '../../../src/proxy/balance.ts'

function turns(count: number, names: (turn: number) => readonly string[]): string {
  let last: string | undefined
  const taken: string[] = []
  for (let turn = 0; turn < count; turn += 1) {
    last = nextInTurn(names(turn), last)
    taken.push(last ?? '-')
  }
  return taken.join(' ')
}

test('names take their turns in order, from the first again after the last', () => {
  assert.equal(
    turns(5, () => ['pg3', 'pg1', 'pg2']),
    'pg1 pg2 pg3 pg1 pg2',
  )
})

test('a member that goes is passed over, one that comes is not favoured', () => {
  assert.equal(
    turns(4, turn => (turn === 1 ? ['pg1', 'pg3'] : ['pg1', 'pg2', 'pg3'])),
    'pg1 pg3 pg1 pg2',
  )
})

test('nobody has a turn in an empty pool', () => assert.equal(nextInTurn([], 'pg1'), undefined))
