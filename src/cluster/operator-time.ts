// Times of scheduled actions as people and scripts give them to ctl and to the REST server, and as others leave them in etcd:
// the shapes of Python's dateutil that mean one time only. Pure.

import type { Instant } from './instant.ts'

const TIME = '(?<hour>\\d{1,2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:[.,](?<fraction>\\d{1,9}))?)?'
const ZONE_WORD = '(?<zone>Z|UTC|GMT|UT|[+-]\\d{2}(?::?\\d{2})?)'
const ZONE = `(?:\\s*${ZONE_WORD})?`
const WEEKDAY = '(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\\s+)?'
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DATE = '(?<year>\\d{4})-(?<month>\\d{2})-(?<day>\\d{2})'
const BASIC_DATE = '(?<year>\\d{4})(?<month>\\d{2})(?<day>\\d{2})'
const BASIC_TIME = '(?<hour>\\d{2})(?<minute>\\d{2})(?:(?<second>\\d{2})(?:[.,](?<fraction>\\d{1,9}))?)?'

const SHAPES: readonly RegExp[] = [
  `${DATE}(?:T|\\s+)${TIME}${ZONE}`,
  `${BASIC_DATE}(?:T|\\s+)${BASIC_TIME}${ZONE}`,
  // Of RFC 2822.
  `${WEEKDAY}(?<day>\\d{1,2})\\s+(?<name>[a-z]{3})\\s+(?<year>\\d{4})\\s+${TIME}${ZONE}`,
  // As date(1) prints it.
  `${WEEKDAY}(?<name>[a-z]{3})\\s+(?<day>\\d{1,2})\\s+${TIME}\\s+(?:${ZONE_WORD}\\s+)?(?<year>\\d{4})`,
].map(whole)
const OF_TODAY = whole(`${TIME}${ZONE}`)

function whole(shape: string): RegExp {
  return new RegExp(`^${shape}$`, 'i')
}

const ZONE_MINUTES_MAX = 24 * 60

/**
 * Reads ISO 8601 (also without separators), RFC 2822, what date(1) prints, or a time of today; `nowMs` says which day that is
 * here. Undefined for anything else, for a day that no calendar has, and for a zone that is neither UTC nor an offset.
 */
export function readOperatorTime(text: string, nowMs: number): Instant | undefined {
  return readShapes([...SHAPES, OF_TODAY], text, nowMs)
}

/** The same of a time that stands in etcd, perhaps for days: without a date it is none. */
export function readStoredTime(text: string): Instant | undefined {
  return readShapes(SHAPES, text, 0)
}

function readShapes(shapes: readonly RegExp[], text: string, nowMs: number): Instant | undefined {
  const trimmed = text.trim()
  for (const shape of shapes) {
    const groups = shape.exec(trimmed)?.groups
    if (groups !== undefined) return readFields(groups, new Date(nowMs))
  }
  return undefined
}

type Groups = Readonly<Record<string, string | undefined>>

function readFields(groups: Groups, today: Date): Instant | undefined {
  const { name, year, zone, fraction } = groups
  const isToday = year === undefined
  const month = name === undefined ? Number(groups['month']) - 1 : MONTHS.indexOf(name.toLowerCase())
  const fields: Fields = [
    isToday ? today.getFullYear() : Number(year),
    isToday ? today.getMonth() : month,
    isToday ? today.getDate() : Number(groups['day']),
    Number(groups['hour']),
    Number(groups['minute']),
    Number(groups['second'] ?? '0'),
    Number((fraction ?? '').slice(0, 3).padEnd(3, '0')),
  ]
  if (!isOfCalendar(fields)) return undefined
  if (zone === undefined) return readLocal(fields)
  const zoneMinutes = readZone(zone)
  if (Math.abs(zoneMinutes) >= ZONE_MINUTES_MAX) return undefined
  return { epochMs: Date.UTC(...fields) - zoneMinutes * 60_000, zoneMinutes }
}

/** A time that the clocks here skip, or show twice, in the night in which they are changed means no one time. */
function readLocal(fields: Fields): Instant | undefined {
  const date = new Date(...fields)
  const [, , day, hour, minute] = fields
  if (date.getDate() !== day || date.getHours() !== hour || date.getMinutes() !== minute) return undefined
  const epochMs = date.getTime()
  const isTwice = CLOCK_CHANGES_MS.some(byMs => isSameOnTheClock(date, new Date(epochMs + byMs)))
  return isTwice ? undefined : { epochMs, zoneMinutes: undefined }
}

/** An hour nearly everywhere, half of one on Lord Howe. */
const CLOCK_CHANGES_MS: readonly number[] = [-3_600_000, -1_800_000, 1_800_000, 3_600_000]

function isSameOnTheClock(one: Date, other: Date): boolean {
  return (
    one.getDate() === other.getDate() &&
    one.getHours() === other.getHours() &&
    one.getMinutes() === other.getMinutes()
  )
}

/** Year, month from 0, day, hour, minute, second, millisecond. */
type Fields = [number, number, number, number, number, number, number]

/** A date that is none comes back as another one. */
function isOfCalendar(fields: Fields): boolean {
  const [year, month, day, hour, minute, second] = fields
  const back = new Date(Date.UTC(...fields))
  const isDay = back.getUTCFullYear() === year && back.getUTCMonth() === month && back.getUTCDate() === day
  return isDay && hour < 24 && minute < 60 && second < 60
}

function readZone(zone: string): number {
  if (/^[a-z]/i.test(zone)) return 0
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || '0')
  return zone.startsWith('-') ? -minutes : minutes
}
