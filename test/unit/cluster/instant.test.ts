import assert from 'node:assert/strict'
import test from 'node:test'
import { parseInstant, printInstant } from '../../../src/cluster/instant.ts'

const rows: readonly (readonly [string, string, number])[] = [
  ['2030-01-01T10:00:00+00:00', '2030-01-01T10:00:00.000Z', 0],
  ['2030-01-01T10:00Z', '2030-01-01T10:00:00.000Z', 0],
  ['2030-01-01 10:00:30.5+02:00', '2030-01-01T08:00:30.500Z', 120],
  ['2030-01-01T10:00:00-0530', '2030-01-01T15:30:00.000Z', -330],
  ['2030-01-01T10:00:00+02', '2030-01-01T08:00:00.000Z', 120],
]
for (const [text, utc, zoneMinutes] of rows) {
  test(`${text} is ${utc}`, () => {
    const instant = parseInstant(text)
    assert.deepEqual(instant, { epochMs: Date.parse(utc), zoneMinutes })
    assert.equal(parseInstant(printInstant(instant?.epochMs ?? 0, zoneMinutes))?.epochMs, Date.parse(utc))
  })
}

test('a time without a zone is local and says so', () => {
  const instant = parseInstant('2030-01-01T10:00:00')
  assert.deepEqual([instant?.zoneMinutes, instant?.epochMs], [undefined, new Date(2030, 0, 1, 10).getTime()])
})

for (const text of [
  '',
  'now',
  '2030-01-01',
  '10:00',
  '2030-13-01T10:00Z',
  '2030-01-01T10:00+2',
  'x2030-01-01T10:00Z',
]) {
  test(`"${text}" is no point in time`, () => {
    assert.equal(parseInstant(text), undefined)
  })
}

test('a zone is printed with its sign', () => {
  assert.equal(printInstant(Date.parse('2030-01-01T10:00:00Z'), 0), '2030-01-01T10:00:00+00:00')
  assert.equal(printInstant(Date.parse('2030-01-01T10:00:00Z'), -330), '2030-01-01T04:30:00-05:30')
})
