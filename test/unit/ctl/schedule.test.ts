import assert from 'node:assert/strict'
import test from 'node:test'
import { readSchedule } from '../../../src/ctl/schedule.ts'

const now = new Date(2029, 10, 27, 12).getTime()

const rows: readonly (readonly [string, string | undefined])[] = [
  ['now', undefined],
  ['NOW', undefined],
  ['', undefined],
  ['2030-01-01T10:00+02:00', '2030-01-01T10:00:00+02:00'],
  ['2030-01-01 10:00:30Z', '2030-01-01T10:00:30+00:00'],
  ['2030-01-01T10:00-0330', '2030-01-01T10:00:00-03:30'],
  ['2030-01-01T10:00+05', '2030-01-01T10:00:00+05:00'],
  ['2030-01-01 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['20300101T100000Z', '2030-01-01T10:00:00+00:00'],
  ['Tue, 01 Jan 2030 10:00:00 +0200', '2030-01-01T10:00:00+02:00'],
]
for (const [text, want] of rows) {
  test(`${text === '' ? 'nothing' : text} means ${want ?? 'now'}`, () =>
    assert.equal(readSchedule(text, now), want))
}

test('a time without zone is local', () => {
  const read = readSchedule('2030-06-01T10:00', now) ?? ''
  assert.match(read, /^2030-06-01T10:00:00[+-]\d\d:\d\d$/)
  assert.equal(Date.parse(read), new Date(2030, 5, 1, 10).getTime())
})

for (const text of ['tomorrow', '10', '2030-13-01T10:00Z', '2030-01-01', 'T']) {
  test(`${text} is refused`, () => {
    assert.throws(() => readSchedule(text, now), {
      name: 'UserError',
      message: /Unable to parse scheduled timestamp/,
    })
  })
}

test('a time alone is of today, here', () => {
  assert.equal(Date.parse(readSchedule('23:30', now) ?? ''), new Date(2029, 10, 27, 23, 30).getTime())
})
