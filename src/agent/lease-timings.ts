// A lease's times, how they follow from each other, in milliseconds; and how a hold on one ends.

/** The timings that the deadline follows from, in milliseconds. */
export interface LeaseTimings {
  readonly ttlMs: number
  readonly loopWaitMs: number
  readonly retryTimeoutMs: number
}

/** How often the lease is renewed. */
export function renewalIntervalMs(timings: LeaseTimings): number {
  return Math.min(timings.loopWaitMs, timings.ttlMs / 6)
}

/** Our deadline ends this much before the lease of this ttl can. */
export function marginMs(ttlMs: number): number {
  return ttlMs / 10
}

/** An answer that takes longer than this comes when the fence has begun its work. */
export function usefulMs(ttlMs: number): number {
  return ttlMs - marginMs(ttlMs) - ttlMs / 6
}

/**
 * Why a hold ended. `overtaken`: somebody else may lead by now. `expired`: the lease ended, and with it what kept others
 * from leading, unless they have promised not to (failsafe mode). `vacant`: the key is gone though our lease lives: nobody
 * else leads yet, and we may take it again at once.
 */
export type Loss = 'overtaken' | 'expired' | 'vacant'
