// Who leads when there is no store to ask: by the members' own answers alone. Pure.
// The timeline stands in for the epoch's revision: every promotion raises it.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import type { Answer } from '../health/document.ts'
import type { MemberHealth } from '../health/verdict.ts'
import type { Believed, Leadership } from './leadership.ts'

/** After this long without any proof of the last leader, one on no newer timeline is believed (a restored backup). */
export const FORGOTTEN_AFTER_MS = 30_000

interface Claim {
  readonly member: string
  readonly timeline: number
  readonly answer: Answer
}

/** What to believe after the latest answers. The highest timeline wins; an equal claim changes nothing. */
export function applyClaims(
  believed: Leadership,
  health: ReadonlyMap<string, MemberHealth>,
  nowMs: number,
): Believed {
  const claims = readClaims(health, nowMs)
  const own = claims.find(claim => claim.member === believed.epoch?.member)
  const best = claims.reduce<Claim | undefined>(
    (winner, claim) => (winner === undefined || claim.timeline > winner.timeline ? claim : winner),
    undefined,
  )
  if (best === undefined) return withoutProof(believed, nowMs)
  const isTie = claims.filter(claim => claim.timeline === best.timeline).length > 1
  const chosen = own !== undefined && own.timeline === best.timeline ? own : best
  if (isTie && chosen !== own) return withoutProof(believed, nowMs)
  return take(believed, chosen, nowMs)
}

/** Members whose last answer proves their leadership now. */
function readClaims(health: ReadonlyMap<string, MemberHealth>, nowMs: number): readonly Claim[] {
  const claims: Claim[] = []
  for (const [member, { answer, leadsUntilMs }] of health) {
    if (answer?.timeline === undefined || leadsUntilMs <= nowMs) continue
    claims.push({ member, timeline: answer.timeline, answer })
  }
  return claims
}

function withoutProof(believed: Leadership, nowMs: number): Believed {
  if (!believed.hasKey) return { next: believed, change: 'none' }
  return { next: { ...believed, hasKey: false, goneAtMs: nowMs }, change: 'key-gone' }
}

function take(believed: Leadership, claim: Claim, nowMs: number): Believed {
  const clusterId = claim.answer.systemId ?? ''
  const epoch: Epoch = { clusterId, createRevision: BigInt(claim.timeline), member: claim.member }
  const before = believed.epoch
  if (before !== undefined && sameEpoch(before, epoch)) {
    const next = { ...believed, hasKey: true, goneAtMs: undefined }
    return { next, change: believed.hasKey ? 'none' : 'key-back' }
  }
  const next: Leadership = {
    ...believed,
    clusterId,
    epoch,
    hasKey: true,
    // The answer that makes the claim is also its proof.
    seenAtMs: claim.answer.sentAtMs,
    goneAtMs: undefined,
  }
  if (before === undefined) return { next, change: 'epoch' }
  if (clusterId === before.clusterId && epoch.createRevision > before.createRevision) {
    return { next, change: 'epoch' }
  }
  const isForgotten = believed.goneAtMs !== undefined && nowMs - believed.goneAtMs >= FORGOTTEN_AFTER_MS
  return isForgotten ? { next, change: 'restored' } : withoutProof(believed, nowMs)
}
