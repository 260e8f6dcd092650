// The last word on the rows: what was acknowledged, what is there, and whether that is good enough. Pure.

import type { LoadVerdict } from './load.ts'
import { count, many, seconds } from './words.ts'

/** An answer that got lost leaves a row that nobody was promised: allowed, and said. */
export function printVerdict(verdict: LoadVerdict, longestGapMs: number): string {
  const { acknowledged, missing, doubled, unacknowledged } = verdict
  const rows = `${many(acknowledged, 'row')} acknowledged: ${count(missing)} missing, ${count(doubled)} doubled`
  const also = unacknowledged === 0 ? '' : `; ${many(unacknowledged, 'row')} there without an acknowledgement`
  return `${rows}${also}; longest wait ${seconds(longestGapMs)}`
}

/** Why a run is not good: one sentence each; nothing when it is. */
export function complaints(verdict: LoadVerdict, rowsMin: number): readonly string[] {
  const { acknowledged, missing, doubled } = verdict
  const found: string[] = []
  if (missing > 0) found.push(`${many(missing, 'acknowledged row')} missing on the leader`)
  if (doubled > 0) found.push(`${many(doubled, 'row')} there more than once`)
  if (acknowledged < rowsMin) {
    found.push(`only ${many(acknowledged, 'row')} acknowledged, ${rowsMin} are needed to mean anything`)
  }
  return found
}

/** `57P01: 4, closed: 2`; `none` when there were none. */
export function printErrors(errors: Readonly<Record<string, number>>): string {
  const parts = Object.entries(errors).map(([code, times]) => `${code}: ${count(times)}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}
