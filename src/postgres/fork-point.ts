// Where two histories of the same cluster part. Pure.

import type { HistoryLine } from '../cluster/history.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'

/** A server's place in the tree of timelines: its own, and the ones before it. */
export interface Lineage {
  readonly timeline: Timeline
  readonly history: readonly Pick<HistoryLine, 'timeline' | 'switchLsn'>[]
}

/** The last common timeline and the position up to which both have the same WAL on it. */
export interface Fork {
  readonly timeline: Timeline
  readonly lsn: Lsn
}

/** Undefined: one and the same timeline with the same past, so nothing parts. */
export function forkPoint(ours: Lineage, theirs: Lineage): Fork | undefined {
  const [our, their] = [stations(ours), stations(theirs)]
  let fork: Fork = { timeline: our[0]?.timeline ?? 1, lsn: 0n }
  for (const [index, station] of our.entries()) {
    const other = their[index]
    if (other === undefined || other.timeline !== station.timeline) return fork
    const { end } = station
    if (end === undefined && other.end === undefined) return undefined
    if (end !== other.end) return { timeline: station.timeline, lsn: smaller(end, other.end) }
    fork = { timeline: station.timeline, lsn: end ?? 0n }
  }
  return fork
}

/** Each timeline with the position at which it was left; the current one has none. */
function stations(
  lineage: Lineage,
): readonly { readonly timeline: Timeline; readonly end: Lsn | undefined }[] {
  const past = lineage.history
    .filter(line => line.timeline < lineage.timeline)
    .map(line => ({ timeline: line.timeline, end: line.switchLsn }))
  return [...past, { timeline: lineage.timeline, end: undefined }]
}

function smaller(one: Lsn | undefined, other: Lsn | undefined): Lsn {
  if (one === undefined || other === undefined) return one ?? other ?? 0n
  return one < other ? one : other
}
