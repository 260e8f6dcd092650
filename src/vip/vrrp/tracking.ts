// What checks do to an instance: rise and fall as keepalived counts them, weights, the priority that results. Pure.

import { OWNER_PRIORITY } from './timers.ts'

/** keepalived's `rise`, `fall` and `init_fail` of a vrrp_script. */
export interface CountRules {
  readonly rise: number
  readonly fall: number
  /** Does it count as failed until it has succeeded `rise` times? Otherwise one answer is enough at the start. */
  readonly startsFailed: boolean
}

/** `unknown` until the first answer. */
export type CheckState = 'unknown' | 'good' | 'bad'

/** `score` runs from 0 to rise + fall - 1; from `rise` on the check is good. */
export interface CheckCount {
  readonly state: CheckState
  readonly score: number
}

export function initialCount({ rise, startsFailed }: CountRules): CheckCount {
  return startsFailed ? { state: 'bad', score: 0 } : { state: 'unknown', score: rise - 1 }
}

/** The count after one more answer. */
export function count({ rise, fall }: CountRules, before: CheckCount, isGood: boolean): CheckCount {
  if (isGood) {
    if (before.score < rise - 1) return { ...before, score: before.score + 1 }
    return { state: 'good', score: rise + fall - 1 }
  }
  if (before.score > rise) return { ...before, score: before.score - 1 }
  if (before.score === rise || before.state === 'unknown') return { state: 'bad', score: 0 }
  // On the way up a failure starts the count again.
  return { ...before, score: 0 }
}

/** A check as an instance uses it. Weight 0: its failure is a fault of the instance. */
export interface Weighed {
  readonly name: string
  readonly weight: number
  readonly state: CheckState
  /** keepalived's `reverse`: the weight with the other sign; of weight 0 a fault while good. */
  readonly isReversed: boolean
}

/**
 * Base and weights: a positive one counts while good, a negative one while bad, and `reverse` changes its sign, not when it
 * counts. An owner's is never changed.
 */
export function effectivePriority(base: number, checks: readonly Weighed[]): number {
  if (base === OWNER_PRIORITY) return base
  let sum = base
  for (const check of checks) {
    const counts = check.state === (check.weight > 0 ? 'good' : 'bad')
    if (counts) sum += check.isReversed ? -check.weight : check.weight
  }
  return Math.min(Math.max(sum, 1), OWNER_PRIORITY - 1)
}

/** Why an instance cannot take part; undefined when it can. A check without an answer yet holds it back, too. */
export function faultOf(checks: readonly Weighed[]): string | undefined {
  for (const check of checks) {
    if (check.weight !== 0) continue
    if (check.state === 'unknown') return `the first answer of ${check.name} is waited for`
    if (check.state === (check.isReversed ? 'good' : 'bad')) return `${check.name} fails`
  }
  return undefined
}
