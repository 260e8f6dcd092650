// Points in time as people and other tools write them: ISO 8601, with or without a zone. Pure.

export interface Instant {
  readonly epochMs: number
  /** Minutes east of UTC; undefined when the text names no zone, and local time was taken. */
  readonly zoneMinutes: number | undefined
}

const SHAPE = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/i

/** Reads `2030-01-01T10:00`, `2030-01-01 10:00:30.5+02:00`, `...Z`; undefined for anything else. */
export function parseInstant(text: string): Instant | undefined {
  const match = SHAPE.exec(text.trim())
  if (match === null) return undefined
  const zoneMinutes = match[3] === undefined ? undefined : readZone(match[3])
  const epochMs = Date.parse(
    `${match[1]}T${match[2]}${zoneMinutes === undefined ? '' : printZone(zoneMinutes)}`,
  )
  return Number.isNaN(epochMs) ? undefined : { epochMs, zoneMinutes }
}

/** `2030-01-01T10:00:00+02:00`. */
export function printInstant(epochMs: number, zoneMinutes: number): string {
  const shifted = new Date(epochMs + zoneMinutes * 60_000).toISOString().replace(/(\.000)?Z$/, '')
  return shifted + printZone(zoneMinutes)
}

function readZone(zone: string): number {
  if (/z/i.test(zone)) return 0
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || '0')
  return zone.startsWith('-') ? -minutes : minutes
}

function printZone(minutes: number): string {
  const absolute = Math.abs(minutes)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`
}
