// Who owns a virtual IP that etcd elects: data in, one decision out. Rules in a fixed order; the first that speaks wins.
// Pure: no clock, no socket, no store.

import type { VipState, VipWish } from './driver.ts'

/** One that would take the addresses, as its key says. */
export interface Candidate {
  readonly id: string
  readonly name: string
  readonly priority: number
  /** It can serve only badly: it owns while nobody better is there. */
  readonly isImpaired: boolean
}

/** The holder of the owner key. */
export interface OwnerKey {
  readonly id: string
  readonly name: string
  readonly leaseId: bigint
  readonly createRevision: bigint
}

/** What one read of etcd showed. */
export interface ElectionView {
  readonly owner: OwnerKey | undefined
  readonly candidates: readonly Candidate[]
}

export interface ElectionSnapshot {
  readonly nowMs: number
  readonly me: Candidate
  readonly wish: VipWish
  /** Why this host cannot hold addresses now. */
  readonly fault: string | undefined
  /** Our lease, while we believe that it lives. */
  readonly leaseId: bigint | undefined
  /** Undefined before the first answer, and while etcd is silent. */
  readonly view: ElectionView | undefined
  readonly isHeld: boolean
  /** The addresses are being put up. */
  readonly isTaking: boolean
  /** A better candidate takes over from an owner that works after this time; undefined: never. */
  readonly preemptAfterMs: number | undefined
}

/** What must be remembered between two decisions. */
export interface ElectionMemory {
  /** Since when nobody owns. */
  readonly absentSinceMs: number | undefined
  /** Since when somebody better than the owner, us, is there. */
  readonly betterSinceMs: number | undefined
}

/**
 * `drop`: take the addresses off this host. `give-up`: drop, then delete our owner key. `leave`: give up and be no candidate.
 * `acquire`: write the owner key if there is none. `take`: put the addresses up.
 */
export type ElectionAction = 'none' | 'drop' | 'give-up' | 'leave' | 'acquire' | 'take'

export interface ElectionDecision {
  readonly rule: string
  readonly action: ElectionAction
  readonly state: VipState
  readonly says: string
  /** Decide again after this time even when nothing happens. */
  readonly againInMs: number | undefined
  readonly memory: ElectionMemory
}

export const noMemory: ElectionMemory = { absentSinceMs: undefined, betterSinceMs: undefined }

/** Each rank waits this much longer before it takes an owner key that a better candidate should have taken. */
export const RANK_DELAY_MS = 400

type Rule = (snapshot: ElectionSnapshot, memory: ElectionMemory) => ElectionDecision | undefined

/** Order matters: what takes the addresses away comes before what puts them up. */
const rules: readonly Rule[] = [hostFails, notWanted, etcdSilent, overtaken, handsOver, owns, waits, elects]

export function decide(snapshot: ElectionSnapshot, memory: ElectionMemory): ElectionDecision {
  for (const rule of rules) {
    const decision = rule(snapshot, memory)
    if (decision !== undefined) return decision
  }
  throw new Error('no rule covers this state')
}

/** The order in which candidates should own: unimpaired, then by priority, then by name so that all agree. */
export function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.isImpaired !== other.isImpaired) return other.isImpaired
  if (one.priority !== other.priority) return one.priority > other.priority
  return one.id < other.id
}

function hostFails({ fault }: ElectionSnapshot): ElectionDecision | undefined {
  if (fault === undefined) return undefined
  return told('host-fails', 'leave', 'fault', fault)
}

function notWanted({ wish }: ElectionSnapshot): ElectionDecision | undefined {
  if (wish.isEligible) return undefined
  return told('not-wanted', 'leave', 'barred', `not eligible: ${wish.why}`)
}

/** The keeper's deadline ends the hold, not a guess of ours. */
function etcdSilent(
  { view, isHeld }: ElectionSnapshot,
  memory: ElectionMemory,
): ElectionDecision | undefined {
  if (view !== undefined) return undefined
  const says = isHeld ? 'etcd is silent; the lease counts on' : 'etcd is silent'
  return told('etcd-silent', 'none', isHeld ? 'owner' : 'starting', says, memory)
}

/** Our name in the key is not enough: it must hang on the lease that we renew. */
function overtaken(snapshot: ElectionSnapshot): ElectionDecision | undefined {
  const { view, isHeld, isTaking } = snapshot
  if ((!isHeld && !isTaking) || isMine(snapshot)) return undefined
  const owner = view?.owner
  const why = owner === undefined ? 'our owner key is gone' : `${owner.name} owns it`
  return told('overtaken', 'drop', 'standby', why)
}

function handsOver(snapshot: ElectionSnapshot, memory: ElectionMemory): ElectionDecision | undefined {
  const { nowMs, me, view, preemptAfterMs } = snapshot
  if (!isMine(snapshot)) return undefined
  const best = view?.candidates.find(candidate => candidate.id !== me.id && isClearlyBetter(candidate, me))
  if (best === undefined) return undefined
  const delayMs = me.isImpaired && !best.isImpaired ? 0 : preemptAfterMs
  if (delayMs === undefined) return undefined
  const betterSinceMs = memory.betterSinceMs ?? nowMs
  const leftMs = betterSinceMs + delayMs - nowMs
  if (leftMs <= 0) {
    return told(
      'hands-over',
      'give-up',
      'standby',
      `${best.name} is the better owner (${rank(best)}, here ${rank(me)})`,
    )
  }
  const says = `owner; ${best.name} is better and gets it in ${Math.ceil(leftMs / 1000)} s`
  const next = { absentSinceMs: undefined, betterSinceMs }
  return { ...owning(snapshot, says, next), rule: 'hands-over-soon', againInMs: leftMs }
}

function owns(snapshot: ElectionSnapshot): ElectionDecision | undefined {
  return isMine(snapshot) ? owning(snapshot, 'owner', noMemory) : undefined
}

function waits({ view }: ElectionSnapshot): ElectionDecision | undefined {
  const owner = view?.owner
  return owner === undefined ? undefined : told('another-owns', 'none', 'standby', `${owner.name} owns it`)
}

/** The best takes at once; the others leave it time. A hint only: the key decides. */
function elects(snapshot: ElectionSnapshot, memory: ElectionMemory): ElectionDecision | undefined {
  const { nowMs, me, view, leaseId } = snapshot
  if (leaseId === undefined) return told('no-lease', 'none', 'starting', 'no lease yet', memory)
  const better = view?.candidates.filter(candidate => candidate.id !== me.id && isBetter(candidate, me)) ?? []
  const absentSinceMs = memory.absentSinceMs ?? nowMs
  const next = { absentSinceMs, betterSinceMs: undefined }
  const leftMs = absentSinceMs + better.length * RANK_DELAY_MS - nowMs
  if (leftMs <= 0) return told('elects-itself', 'acquire', 'standby', 'nobody owns it', next)
  const [first] = better
  const says = `nobody owns it; ${first?.name} should take it`
  return { ...told('leaves-to-better', 'none', 'standby', says, next), againInMs: leftMs }
}

function owning(
  { isHeld, isTaking }: ElectionSnapshot,
  says: string,
  memory: ElectionMemory,
): ElectionDecision {
  if (isHeld) return told('owns', 'none', 'owner', says, memory)
  if (isTaking) return told('takes', 'none', 'taking', 'the addresses are being put up', memory)
  return told('takes', 'take', 'taking', 'won the election', memory)
}

function isMine({ view, leaseId }: ElectionSnapshot): boolean {
  return leaseId !== undefined && view?.owner?.leaseId === leaseId
}

/** Equals do not change places. */
function isClearlyBetter(one: Candidate, other: Candidate): boolean {
  return one.isImpaired === other.isImpaired ? one.priority > other.priority : other.isImpaired
}

function rank({ priority, isImpaired }: Candidate): string {
  return isImpaired ? `priority ${priority}, impaired` : `priority ${priority}`
}

function told(
  rule: string,
  action: ElectionAction,
  state: VipState,
  says: string,
  memory: ElectionMemory = noMemory,
): ElectionDecision {
  return { rule, action, state, says, againInMs: undefined, memory }
}
