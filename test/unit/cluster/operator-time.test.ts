// Every shape with a zone was read by Python's dateutil, too, with the same result.

import assert from 'node:assert/strict'
import test from 'node:test'
import { printInstant } from '../../../src/cluster/instant.ts'
import { readOperatorTime, readStoredTime } from '../../../src/cluster/operator-time.ts'

const now = new Date(2029, 10, 27, 1, 14).getTime()

const zoned: readonly (readonly [string, string])[] = [
  ['2030-01-01T10:00+02:00', '2030-01-01T10:00:00+02:00'],
  ['2030-01-01 10:00 UTC', '2030-01-01T10:00:00+00:00'],
  ['2030-01-01 9:30 GMT', '2030-01-01T09:30:00+00:00'],
  ['2030-01-01T10:00:00 +02:00', '2030-01-01T10:00:00+02:00'],
  ['2030-01-01T10:00:00,5Z', '2030-01-01T10:00:00.500+00:00'],
  ['2030-01-01T10:00:00.123456-0330', '2030-01-01T10:00:00.123-03:30'],
  ['20300101T100000Z', '2030-01-01T10:00:00+00:00'],
  ['20300101T1000+0200', '2030-01-01T10:00:00+02:00'],
  ['Tue, 01 Jan 2030 10:00:00 +0200', '2030-01-01T10:00:00+02:00'],
  ['1 jan 2030 10:00 GMT', '2030-01-01T10:00:00+00:00'],
  ['Tue Jan  1 10:00:00 UTC 2030', '2030-01-01T10:00:00+00:00'],
]
for (const [text, want] of zoned) {
  test(`the time ${text} means ${want}`, () => {
    const read = readOperatorTime(text, now)
    assert.ok(read?.zoneMinutes !== undefined)
    assert.equal(printInstant(read.epochMs, read.zoneMinutes), want)
  })
}

const local: readonly (readonly [string, Date])[] = [
  ['23:30', new Date(2029, 10, 27, 23, 30)],
  ['0:05:30', new Date(2029, 10, 27, 0, 5, 30)],
  ['2030-06-01 10:00', new Date(2030, 5, 1, 10)],
  ['20300601 1000', new Date(2030, 5, 1, 10)],
  ['Sat, 1 Jun 2030 10:00', new Date(2030, 5, 1, 10)],
]
for (const [text, want] of local) {
  test(`${text} names no zone and is meant as it is here, the time alone as of today`, () => {
    assert.deepEqual(readOperatorTime(text, now), { epochMs: want.getTime(), zoneMinutes: undefined })
  })
}

test('a time alone with a zone is of the day that is today here', () => {
  assert.deepEqual(readOperatorTime('23:30Z', now), {
    epochMs: Date.UTC(2029, 10, 27, 23, 30),
    zoneMinutes: 0,
  })
})

test('a time that is kept has a date: one of today would be another one tomorrow', () => {
  assert.equal(readStoredTime('23:30Z'), undefined)
  assert.equal(readStoredTime('2030-01-01T23:30Z')?.epochMs, Date.UTC(2030, 0, 1, 23, 30))
})

const refused = [
  ...['', 'tomorrow', 'T', '2030-01-01', '01/02/2030 10:00', '10', '22h'],
  ...['2030-02-30T10:00Z', '2030-13-01T10:00Z', '2030-01-01T24:00Z', '10:60', '31 Feb 2030 10:00 GMT'],
  // dateutil takes a zone that it does not know for none, which would be hours beside what was meant.
  ...['2030-01-01 10:00 CET', '10:00 EST', '2030-01-01T10:00+99:00', '1 Foo 2030 10:00'],
]
for (const text of refused) {
  test(`no time is read from ${JSON.stringify(text)}`, () =>
    assert.equal(readOperatorTime(text, now), undefined))
}

test('local times that the clocks skip or show twice in the night of their change mean nothing', t => {
  const zone = process.env['TZ']
  process.env['TZ'] = 'Europe/Berlin'
  t.after(() => {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  })
  assert.equal(new Date(2030, 6, 1).getTimezoneOffset(), -120, 'the zone counts')
  for (const text of ['2030-03-31 02:30', '2030-10-27 02:30', '2030-10-27 02:00'])
    assert.equal(readOperatorTime(text, now), undefined, text)
  for (const [text, want] of [
    ['2030-03-31 01:59', '2030-03-31T00:59:00Z'],
    ['2030-03-31 03:00', '2030-03-31T01:00:00Z'],
    ['2030-10-27 01:59', '2030-10-26T23:59:00Z'],
    ['2030-10-27 03:00', '2030-10-27T02:00:00Z'],
    ['2030-10-27 02:30+01:00', '2030-10-27T01:30:00Z'],
  ] as const)
    assert.equal(readOperatorTime(text, now)?.epochMs, Date.parse(want), text)
})
