// Who may go on as a leader though nobody believes in him any more. Pure.

import type { MemberHealth } from '../health/verdict.ts'

interface Word {
  readonly atMs: number
  readonly isLeader: boolean
}

/**
 * The last word counts: that of the server itself, or our own that it was retired. `leads` is what is known by checks for the
 * leader, `reads` by those of a pool of reads. Asked of servers that are not believed to lead.
 */
export function mayStillLead(
  retiredAtMs: number | undefined,
  leads: MemberHealth | undefined,
  reads: MemberHealth | undefined,
): boolean {
  const retired: readonly Word[] = retiredAtMs === undefined ? [] : [{ atMs: retiredAtMs, isLeader: true }]
  const words = [...retired, ...wordOf(leads, true), ...wordOf(reads, false)]
  return words.sort((a, b) => b.atMs - a.atMs)[0]?.isLeader === true
}

/** Where no document tells a role, a check for the leader that is not good says that it is none; one of a pool says nothing. */
function wordOf(health: MemberHealth | undefined, isForLeader: boolean): readonly Word[] {
  if (health?.answer === undefined) return []
  const { answer, silence, wasGood } = health
  if (answer.role !== 'unknown') return [{ atMs: answer.sentAtMs, isLeader: answer.role === 'primary' }]
  return isForLeader && silence === undefined && !wasGood ? [{ atMs: answer.sentAtMs, isLeader: false }] : []
}
