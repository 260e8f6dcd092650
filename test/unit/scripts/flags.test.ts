import assert from 'node:assert/strict'
import test from 'node:test'
import { parseFlags } from '../../../scripts/lib/flags.js'

const spec = { tier: 'value', long: 'switch' } as const

test('switches, values and the rest are told apart', () => {
  assert.deepEqual(parseFlags(['--tier', 'unit', 'a.test.ts', '--long'], spec), {
    values: { tier: 'unit', long: true },
    rest: ['a.test.ts'],
  })
  assert.deepEqual(parseFlags(['--tier=unit'], spec).values, { tier: 'unit' })
})

test('an unknown option is refused with the known ones', () => {
  assert.throws(() => parseFlags(['--teir', 'unit'], spec), /unknown option --teir; known are --tier, --long/)
})

test('an option without its value is refused', () => {
  assert.throws(() => parseFlags(['--tier'], spec), /--tier needs a value/)
})

test('with passOn, everything from the first unknown argument on is handed over', () => {
  const parsed = parseFlags(['--long', '--once', '--tier', 'x'], spec, { passOn: true })
  assert.deepEqual(parsed, { values: { long: true }, rest: ['--once', '--tier', 'x'] })
})
