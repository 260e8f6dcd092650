// Tells people why there is no server for them: one sentence from what is known. Pure.

import { type MemberHealth, primaryVerdict, unknownHealth } from '../health/verdict.ts'
import type { Evidence } from './route.ts'

/** How the last leader's time ended, as far as the proxy saw it. */
export type Ending = 'lease-ended' | 'gave-up' | 'replaced' | 'silent' | 'restored'

/** What the story is about, besides the evidence. */
export interface StoryFacts {
  readonly scope: string
  /** Since when no new write session could start; undefined: not since the proxy started. */
  readonly sinceMs: number | undefined
  readonly startedAtMs: number
  readonly lastLeader: { readonly member: string; readonly ending: Ending } | undefined
  /** For how long the store has not answered; undefined while it does. */
  readonly storeSilentMs: number | undefined
}

/** For example `cluster pgsql has no leader for 2.1 s: pg1's lease ended; pg2 is promoting`. */
export function tellStory(facts: StoryFacts, evidence: Evidence): string {
  const forMs = evidence.nowMs - (facts.sinceMs ?? facts.startedAtMs)
  const parts = [tellEnding(facts), tellSuccessor(evidence), tellStore(facts)]
  const causes = parts.filter(part => part !== undefined).join('; ')
  return `cluster ${facts.scope} has no leader for ${seconds(forMs)}: ${causes}`
}

/** `2.1 s`. */
export function seconds(durationMs: number): string {
  return `${(Math.max(0, durationMs) / 1000).toFixed(1)} s`
}

function tellEnding({ lastLeader }: StoryFacts): string | undefined {
  if (lastLeader === undefined) return undefined
  const { member, ending } = lastLeader
  const told: Readonly<Record<Ending, string>> = {
    'lease-ended': `${member}'s lease ended`,
    'gave-up': `${member} gave the leader key up`,
    replaced: `${member} was replaced`,
    silent: `nothing proves any more that ${member} leads`,
    restored: 'the store was restored or replaced',
  }
  return told[ending]
}

function tellSuccessor(evidence: Evidence): string {
  const { leadership, health, members } = evidence
  const member = leadership.epoch?.member
  if (leadership.clusterId === undefined) return 'nothing is known about it yet'
  if (member === undefined || !leadership.hasKey) return 'nobody has taken the leader key yet'
  if (!members.has(member)) return `${member} holds the leader key but has no member key`
  return tellHolder(member, health.get(member) ?? unknownHealth, leadership.seenAtMs)
}

function tellHolder(member: string, health: MemberHealth, seenAtMs: number): string {
  const verdict = primaryVerdict(health, seenAtMs)
  const { answer, silence, unsureSinceMs } = health
  const why = silence === undefined ? '' : ` (${silence})`
  if (verdict === 'primary' && silence === undefined && unsureSinceMs !== undefined)
    return `${member} leads, its server does not answer`
  if (verdict === 'primary') return why === '' ? `${member} is back` : `${member} does not answer${why}`
  if (verdict === 'unknown' || answer === undefined) {
    return `${member} holds the leader key, its server has not answered yet${why}`
  }
  if (answer.state !== 'running') return `${member} holds the leader key, its server is ${answer.state}`
  return `${member} is promoting`
}

function tellStore({ storeSilentMs }: StoryFacts): string | undefined {
  if (storeSilentMs === undefined) return undefined
  return `etcd has not answered for ${seconds(storeSilentMs)}`
}
