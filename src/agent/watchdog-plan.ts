// What the watchdog is to be set to, and when it may be fed. Pure.

import type { WatchdogConfig } from '../config/agent/types.ts'

/** The rest is for clocks that run at different speeds, and for the reset itself. */
const OF_THE_MARGIN = 0.9
/** Renewals come every sixth of a ttl and reads once a turn: at one of the two both are younger than this. */
const LEAST_PATIENCE = 0.1

/** A watchdog that fires this long after it was last fed; the loop must come round before that. */
export interface WatchdogPlan {
  readonly timeoutSeconds: number
  /** How much longer than a turn of the loop it waits; below zero it would fire at a healthy member. */
  readonly slackSeconds: number
}

/** As Patroni computes it, so that members of both kinds keep the same distance from the end of their leases. */
export function watchdogPlan(
  { safetyMarginSeconds }: Pick<WatchdogConfig, 'safetyMarginSeconds'>,
  ttlSeconds: number,
  loopWaitSeconds: number,
): WatchdogPlan {
  const timeoutSeconds =
    safetyMarginSeconds === -1 ? Math.floor(ttlSeconds / 2) : ttlSeconds - safetyMarginSeconds
  return { timeoutSeconds, slackSeconds: timeoutSeconds - loopWaitSeconds }
}

/** Why a watchdog cannot be set to this at all; undefined when it can. */
export function planObstacle(
  { timeoutSeconds, slackSeconds }: WatchdogPlan,
  loopWaitSeconds: number,
): string | undefined {
  if (slackSeconds >= 0 && timeoutSeconds >= 1) return undefined
  return (
    `it would fire after ${timeoutSeconds} s and a turn of the loop may take ${loopWaitSeconds} s: ` +
    'raise ttl, or lower loop_wait or watchdog.safety_margin'
  )
}

/** What a driver made of the plan. `unsafe`: it works, but may fire when somebody else leads already. */
export type Verdict =
  | { readonly kind: 'safe' }
  | { readonly kind: 'unsafe' | 'useless'; readonly because: string }

/** Judges the timeout that the driver has in force. */
export function judgeTimeout(
  { timeoutSeconds }: WatchdogPlan,
  actualSeconds: number,
  loopWaitSeconds: number,
): Verdict {
  if (actualSeconds < loopWaitSeconds) {
    const because = `the device fires after ${actualSeconds} s, before a turn of the loop (loop_wait ${loopWaitSeconds} s) is over`
    return { kind: 'useless', because }
  }
  if (actualSeconds <= timeoutSeconds) return { kind: 'safe' }
  return {
    kind: 'unsafe',
    because: `the device fires after ${actualSeconds} s, later than the ${timeoutSeconds} s that keep it before the end of the lease`,
  }
}

/** What is known when an answer has come that proves our leadership. */
export interface Proof {
  readonly nowMs: number
  /** When the request left; of several, the oldest that the proof rests on. */
  readonly sentAtMs: number
  readonly ttlMs: number
  readonly timeoutMs: number
  /** Leadership left by our own clock, by the key or by the others' word. */
  readonly leftMs: number
  /** The server is being ended because the lease runs out. */
  readonly isFencing: boolean
}

/**
 * May this answer feed the watchdog? One that took longer than the safety margin proves a lease that ends before the
 * watchdog would fire: feeding it then would keep a machine alive that freezes in the next moment. Without a margin (the
 * operator's choice) an answer of usual length counts all the same.
 */
export function mayFeed({ nowMs, sentAtMs, ttlMs, timeoutMs, leftMs, isFencing }: Proof): boolean {
  const patienceMs = Math.max((ttlMs - timeoutMs) * OF_THE_MARGIN, ttlMs * LEAST_PATIENCE)
  return leftMs > 0 && !isFencing && nowMs - sentAtMs <= patienceMs
}
