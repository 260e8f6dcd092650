// The time of a scheduled action as people type it.

import { printInstant } from '../cluster/instant.ts'
import { readOperatorTime } from '../cluster/operator-time.ts'
import { UserError } from '../platform/errors.ts'

/** As ISO 8601 with a zone; undefined for `now`. A time without zone is local. Throws UserError for what is no time. */
export function readSchedule(text: string, nowMs: number): string | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.toLowerCase() === 'now') return undefined
  const instant = readOperatorTime(trimmed, nowMs)
  if (instant === undefined) {
    throw new UserError(
      `Unable to parse scheduled timestamp (${trimmed}). It should be in an unambiguous format (e.g. ISO 8601)`,
    )
  }
  const { epochMs, zoneMinutes } = instant
  return printInstant(epochMs, zoneMinutes ?? -new Date(epochMs).getTimezoneOffset())
}
