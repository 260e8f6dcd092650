// Works through many sessions without keeping everything else of the loop waiting for the last of them.

import type { Clock } from '../platform/clock.ts'

/** Nothing else of the process waits longer for its turn, unless the first sessions of a slice take longer. */
export const SLICE_MS = 20
/** So many are done in each round of the loop, however long they take: on a slow machine the last one must come, too. */
export const SLICE_MIN = 100
/** The clock is looked at after so many. */
const LOOK_EVERY = 25

/**
 * Calls `run` for each of `items`, in order: the first slice before this returns, each further one in a round of the loop of
 * its own. Between two rounds everything else runs, so that `run` must ask what it relies on.
 */
export function inSlices<T>(clock: Clock, items: readonly T[], run: (item: T) => void): void {
  runFrom(clock, items, 0, run)
}

function runFrom<T>(clock: Clock, items: readonly T[], from: number, run: (item: T) => void): void {
  const untilMs = clock.monotonicMs() + SLICE_MS
  let at = from
  do {
    for (const item of items.slice(at, at + LOOK_EVERY)) run(item)
    at += LOOK_EVERY
  } while (at < items.length && (at - from < SLICE_MIN || clock.monotonicMs() < untilMs))
  if (at < items.length) setImmediate(() => runFrom(clock, items, at, run))
}
