// The time of a scheduled action as people type it.

import { UserError } from '../platform/errors.ts'

const ZONE = /(?:Z|[+-]\d{2}(?::?\d{2})?)$/i
const SHAPE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?/

/** ISO 8601 with a zone; undefined for `now`. A time without zone is local. Throws UserError for anything else. */
export function readSchedule(text: string): string | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.toLowerCase() === 'now') return undefined
  const atMs = SHAPE.test(trimmed) ? Date.parse(trimmed.replace(' ', 'T')) : Number.NaN
  if (Number.isNaN(atMs)) {
    throw new UserError(
      `Unable to parse scheduled timestamp (${trimmed}). It should be in an unambiguous format (e.g. ISO 8601)`,
    )
  }
  return ZONE.test(trimmed)
    ? isoWithZone(atMs, zoneMinutes(trimmed))
    : isoWithZone(atMs, -new Date(atMs).getTimezoneOffset())
}

function zoneMinutes(text: string): number {
  const zone = ZONE.exec(text)?.[0] ?? 'Z'
  if (/z/i.test(zone)) return 0
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || '0')
  return zone.startsWith('-') ? -minutes : minutes
}

/** `2030-01-01T10:00:00+02:00`. */
function isoWithZone(atMs: number, minutes: number): string {
  const shifted = new Date(atMs + minutes * 60_000).toISOString().replace(/(\.000)?Z$/, '')
  const absolute = Math.abs(minutes)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${shifted}${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`
}
