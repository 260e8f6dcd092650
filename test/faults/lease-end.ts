// When a lease may end at the latest, from what its store says of the time that is left. The store tells whole seconds,
// cut off towards zero, so one answer alone leaves a second open; answers around the change of a second leave next to nothing.

/** One answer: between `askedMs` and `answeredMs`, in monotonic milliseconds, `leftSeconds` whole seconds were left. */
export interface LeaseLook {
  readonly askedMs: number
  readonly answeredMs: number
  readonly leftSeconds: number
}

const SECOND_MS = 1_000

/**
 * The latest instant at which a lease can have ended that nobody renewed after these looks, which are in order; never earlier
 * than it did. A look that excludes the end known so far tells of a renewal: what was seen before it counts no more.
 * Undefined without any look.
 */
export function latestEndMs(looks: readonly LeaseLook[]): number | undefined {
  let latestMs: number | undefined
  for (const { askedMs, answeredMs, leftSeconds } of looks) {
    // A lease that ended less than a second ago and is not yet taken away has 0 s left as well.
    const earliestMs = askedMs + (leftSeconds === 0 ? -1 : leftSeconds) * SECOND_MS
    const endMs = answeredMs + (leftSeconds + 1) * SECOND_MS
    latestMs = latestMs === undefined || earliestMs > latestMs ? endMs : Math.min(latestMs, endMs)
  }
  return latestMs
}
