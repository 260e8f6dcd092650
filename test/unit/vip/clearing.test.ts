// Addresses that cannot be removed at once: told once, tried again, and the guard is set free only when they are gone.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Clearing } from '../../../src/vip/clearing.ts'
import type { Removal } from '../../../src/vip/removal.ts'

function clearing(...answers: readonly Removal[]) {
  const seen: string[] = []
  const say = (text: string) => void seen.push(text)
  const log = { debug: say, info: say, warning: say, error: say, critical: say, with: () => log }
  const left = [...answers]
  const remove = () => left.shift() ?? { removed: [], failed: [] }
  const onClean = () => void seen.push('free')
  const onLeft = () => void seen.push('guard, remove them')
  return { seen, one: new Clearing({ log, remove, onClean, onLeft }) }
}

const failed = ['cannot remove 10.0.0.9 from eth0: EMFILE']

test('addresses that go at once set the guard free', () => {
  const { seen, one } = clearing({ removed: ['removed 10.0.0.9 from eth0'], failed: [] })
  one.begin('a stop')
  assert.deepEqual(seen, ['removed 10.0.0.9 from eth0: a stop', 'free'])
  one.again()
  assert.equal(seen.length, 2)
})

test('an address that cannot be removed is the guard’s to remove, told once, and tried until it is gone', () => {
  const { seen, one } = clearing(
    { removed: ['removed 10.0.0.8 from eth0'], failed },
    { removed: [], failed },
    { removed: ['removed 10.0.0.9 from eth0'], failed: [] },
  )
  one.begin('a stop')
  assert.equal(one.isOver, false)
  one.again()
  assert.equal(one.isOver, false)
  one.again()
  assert.equal(one.isOver, true)
  one.again()
  assert.deepEqual(seen, [
    'removed 10.0.0.8 from eth0: a stop',
    'cannot remove 10.0.0.9 from eth0: EMFILE; it is tried again',
    'guard, remove them',
    'guard, remove them',
    'removed 10.0.0.9 from eth0: a stop',
    'free',
  ])
})

test('addresses that are taken again are not removed by an old failure', () => {
  const { seen, one } = clearing({ removed: [], failed }, { removed: ['removed 10.0.0.9'], failed: [] })
  one.begin('a stop')
  one.cancel()
  one.again()
  assert.deepEqual(seen.slice(1), ['guard, remove them'])
})
