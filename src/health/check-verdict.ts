// What a check of the file proves about a server, by HAProxy's counting. Pure.

import { freshCounter, step } from './counter.ts'
import type { Answer, ProbeResult } from './document.ts'
import { type MemberHealth, unknownHealth } from './verdict.ts'

/** The part of a check that verdicts depend on. */
export interface CheckRule {
  readonly rise: number
  readonly fall: number
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Is an answer with this code good? */
  accepts(statusCode: number): boolean
  /** Does this code ask to keep the sessions that are there and to send no new ones? Only a server that is up can say so. */
  drains?(statusCode: number): boolean
  /** The role that a good answer stands for, whatever document came with it; undefined: the document's. */
  readonly roleWhenGood?: string
}

/** Codes, as a check of the file lists them. */
export interface Codes {
  readonly ranges: readonly { readonly from: number; readonly to: number }[]
  readonly negated: boolean
}

export function isExpected(statusCode: number, { ranges, negated }: Codes): boolean {
  return ranges.some(({ from, to }) => statusCode >= from && statusCode <= to) !== negated
}

/**
 * The next health after one check. A good answer proves the server until it could have been found down by the same
 * counting: `fall` intervals and one timeout later. A bad one takes that away only when the counter says down. An answer
 * that drains keeps it up and proves it as well, but is not good: nobody becomes the leader by it.
 */
export function judgeCheck(
  before: MemberHealth | undefined,
  result: ProbeResult,
  rule: CheckRule,
): MemberHealth {
  const health = before ?? { ...unknownHealth, counter: freshCounter(rule) }
  const isServing = result.kind === 'answer' && result.answer.state === 'running'
  const drains = isServing && rule.drains?.(result.answer.statusCode) === true
  const isGood = isServing && !drains && rule.accepts(result.answer.statusCode)
  const isUpStill = isGood || (drains && health.counter.isUp)
  const counter = step(health.counter, isUpStill, rule)
  const sentAtMs = result.kind === 'answer' ? result.answer.sentAtMs : result.sentAtMs
  const provesUntilMs = sentAtMs + rule.fall * rule.intervalMs + rule.timeoutMs
  const keptUntilMs = counter.isUp ? health.leadsUntilMs : Number.NEGATIVE_INFINITY
  return {
    ...health,
    counter,
    answer:
      result.kind === 'answer'
        ? withRole(result.answer, isGood ? rule.roleWhenGood : undefined)
        : health.answer,
    silence: result.kind === 'answer' ? undefined : result.why,
    probedAtMs: sentAtMs,
    leadsUntilMs: isUpStill && counter.isUp ? provesUntilMs : keptUntilMs,
    wasGood: isGood,
  }
}

/** A document that contradicts the code (a leader's answer from a replica) keeps its word. */
function withRole(answer: Answer, role: string | undefined): Answer {
  return role === undefined || answer.role === 'replica' ? answer : { ...answer, role }
}
