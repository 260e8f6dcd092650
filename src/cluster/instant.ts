// Points in time, and how we write them: ISO 8601 with a zone. Pure.

export interface Instant {
  readonly epochMs: number
  /** Minutes east of UTC; undefined when the text names no zone, and local time was taken. */
  readonly zoneMinutes: number | undefined
}

/** `2030-01-01T10:00:00+02:00`. */
export function printInstant(epochMs: number, zoneMinutes: number): string {
  const shifted = new Date(epochMs + zoneMinutes * 60_000).toISOString().replace(/(\.000)?Z$/, '')
  return shifted + printZone(zoneMinutes)
}

function printZone(minutes: number): string {
  const absolute = Math.abs(minutes)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`
}
