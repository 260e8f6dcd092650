// What a member's answers prove, and until when. Pure: every deadline is a monotonic time, counted from before the
// request left. Silence is never turned into a statement.

import { isTagged } from '../cluster/member.ts'
import { type CounterLimits, type CounterState, initialCounter, step } from './counter.ts'
import type { Answer, ProbeResult } from './document.ts'

/** All that is known about a member from probing it. */
export interface MemberHealth {
  readonly counter: CounterState
  /** The last answer that said something about the server, however old. */
  readonly answer: Answer | undefined
  /** Why the last probe brought nothing; undefined when it brought an answer. */
  readonly silence: string | undefined
  /** Since when (departure of the first such probe) its agent says that its server tells it nothing. */
  readonly unsureSinceMs: number | undefined
  /** Monotonic time of the last probe's departure. */
  readonly probedAtMs: number | undefined
  /** A connection to the server itself failed at this monotonic time: older answers no longer count as proof. */
  readonly refusedAtMs: number | undefined
  /** Connections that failed since the last one that succeeded. */
  readonly refusals: number
  /** Its REST server's answers alone do not bring reads back to a server before this monotonic time. */
  readonly avoidUntilMs: number
  /** Until when its own answers prove that it leads; -Infinity without proof. */
  readonly leadsUntilMs: number
  /** Was the last result good, whatever the counter makes of it? */
  readonly wasGood: boolean
}

export const unknownHealth: MemberHealth = {
  counter: initialCounter,
  answer: undefined,
  silence: undefined,
  unsureSinceMs: undefined,
  probedAtMs: undefined,
  refusedAtMs: undefined,
  refusals: 0,
  avoidUntilMs: Number.NEGATIVE_INFINITY,
  leadsUntilMs: Number.NEGATIVE_INFINITY,
  wasGood: false,
}

/** Probe timing that verdicts depend on. */
export interface ProbeTiming {
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** The next health after one probe. */
export function judge(
  health: MemberHealth,
  result: ProbeResult,
  limits: CounterLimits,
  timing: ProbeTiming,
): MemberHealth {
  if (result.kind === 'silent') {
    return {
      ...health,
      counter: step(health.counter, false, limits),
      silence: result.why,
      probedAtMs: result.sentAtMs,
      wasGood: false,
    }
  }
  const { answer } = result
  return {
    ...health,
    wasGood: isServing(answer),
    counter: step(health.counter, isServing(answer), limits),
    answer: isStatement(answer) ? answer : health.answer,
    silence: undefined,
    unsureSinceMs: isStatement(answer) ? undefined : (health.unsureSinceMs ?? answer.sentAtMs),
    probedAtMs: answer.sentAtMs,
    leadsUntilMs: leadsUntil(answer, timing),
  }
}

/** How long reads stay away from a server after its first refused connection; doubled with each further one. */
const AVOID_MS = 1_000
const AVOID_MS_MAX = 30_000

/** Who has the last word about a server: the checks of the file alone, or whoever learns of it. */
export type Judged = 'checked' | 'told'

/**
 * The next health after a connection to the server itself failed: older answers count no longer. It is also one failed
 * probe, however many fail between two of them: connections that began together fail together.
 */
export function judgeRefusal(
  health: MemberHealth,
  atMs: number,
  limits: CounterLimits,
  judged: Judged,
): MemberHealth {
  const next = { ...health, counter: counterAfterRefusal(health, limits, judged), refusedAtMs: atMs }
  // Others that had begun before it was left alone say nothing new.
  if (atMs < health.avoidUntilMs) return next
  const avoidMs = Math.min(AVOID_MS_MAX, AVOID_MS * 2 ** Math.min(health.refusals, 10))
  return { ...next, refusals: health.refusals + 1, avoidUntilMs: atMs + avoidMs }
}

/** A server whose checks alone say whether it is up must not lose its sessions to connections that failed in a rush. */
function counterAfterRefusal(
  { counter, refusedAtMs, probedAtMs = Number.NEGATIVE_INFINITY }: MemberHealth,
  limits: CounterLimits,
  judged: Judged,
): CounterState {
  if (refusedAtMs !== undefined && probedAtMs <= refusedAtMs) return counter
  if (judged === 'checked' && counter.isUp && counter.against + 1 >= limits.fall) return counter
  return step(counter, false, limits)
}

/** The next health after a connection to the server itself succeeded. */
export function judgeConnected(health: MemberHealth): MemberHealth {
  if (health.refusals === 0) return health
  return { ...health, refusals: 0, avoidUntilMs: Number.NEGATIVE_INFINITY }
}

/**
 * State `unknown` means that its server told the agent nothing, because it hangs or does not let the agent in, or that
 * nobody has asked it for long: the last word stays, and the server is asked itself.
 */
function isStatement(answer: Answer): boolean {
  return answer.state !== 'unknown'
}

function isServing(answer: Answer): boolean {
  return answer.state === 'running'
}

/**
 * Until when this answer alone proves leadership. An agent of ours says how long; a 200 of any other counts until the
 * next probe is due plus its timeout. An answer that does not claim leadership takes the proof away at once.
 */
export function leadsUntil(answer: Answer, timing: ProbeTiming): number {
  if (!isRunningPrimary(answer) || answer.statusCode !== 200) return Number.NEGATIVE_INFINITY
  if (answer.leaseLeftMs !== undefined) return answer.sentAtMs + Math.max(0, answer.leaseLeftMs)
  return answer.sentAtMs + timing.intervalMs + timing.timeoutMs
}

/** Does the server itself say that it left recovery and takes connections? */
export function isRunningPrimary(answer: Answer): boolean {
  return answer.role === 'primary' && isServing(answer)
}

/** What a member said about being a primary since `sinceMs`. `unknown`: nothing that counts. */
export type PrimaryVerdict = 'primary' | 'not-primary' | 'unknown'

/** Is this member's server a primary that takes connections, by an answer that was asked for after `sinceMs`? */
export function primaryVerdict(health: MemberHealth, sinceMs: number): PrimaryVerdict {
  const { answer, refusedAtMs } = health
  if (answer === undefined || answer.sentAtMs < sinceMs) return 'unknown'
  if (refusedAtMs !== undefined && answer.sentAtMs <= refusedAtMs) return 'unknown'
  return isRunningPrimary(answer) ? 'primary' : 'not-primary'
}

/** Is the server itself the only one to say how it does: its agent is silent, or gets nothing out of it? */
export function speaksForItself(health: MemberHealth | undefined): boolean {
  return health?.silence !== undefined || health?.unsureSinceMs !== undefined
}

/** May reads go there: it answers, its server runs as a replica, connections work, and nobody asked to leave it out? */
export function servesReads(health: MemberHealth, memberTags: Answer['tags'], nowMs: number): boolean {
  const { answer } = health
  if (answer === undefined || !health.counter.isUp || nowMs < health.avoidUntilMs) return false
  if (answer.role !== 'replica' || !isServing(answer)) return false
  return !isTagged(answer.tags, 'noloadbalance') && !isTagged(memberTags, 'noloadbalance')
}
