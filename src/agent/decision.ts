// A decision as a value: what to do, under which rule, and the sentence for the log.

import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { FailoverRequest } from '../cluster/request.ts'
import type { Upstream } from '../postgres/port.ts'
import type { Memory, Snapshot } from './snapshot.ts'
import type { PromotionSync } from './sync/promotion.ts'
import type { SyncStep } from './sync/step.ts'

/** Questions: the answer is in the next snapshot of the same turn. */
export type Ask =
  | { readonly kind: 'ask-peers'; readonly peers: ReadonlyMap<string, string> }
  | { readonly kind: 'check-divergence'; readonly leader: Upstream }
  | { readonly kind: 'check-wal'; readonly leader: Upstream; readonly from: Lsn; readonly timeline: Timeline }

/** Why and how a primary gives up. `release`: give the leader key away once it is safe. */
export interface Demotion {
  readonly mode: 'graceful' | 'immediate'
  readonly release: boolean
  /**
   * Who can take over. The key goes to nobody before one of them has everything; if none gets it, the server comes back
   * in place. Undefined: whoever wins.
   */
  readonly heirs: readonly string[] | undefined
}

/** The revision of the `sync` key that the decision went by; undefined: it was absent. */
export interface SyncCompare {
  readonly syncModRevision: bigint | undefined
}

/** The synchronous state that must be written before the server leaves recovery. */
export interface PromotionWrite extends PromotionSync, SyncCompare {}

/** One thing to do. The executor may run it or fail at it; it never adds to it. */
export type Action =
  | Ask
  | { readonly kind: 'acquire-leader' }
  | { readonly kind: 'reattach-leader' }
  | { readonly kind: 'arm-watchdog' }
  | { readonly kind: 'release-leader' }
  | { readonly kind: 'register-system-id'; readonly systemId: string }
  | { readonly kind: 'write-config' }
  | { readonly kind: 'clear-request' }
  /** The time of a scheduled one has come: it is written again without its time. */
  | { readonly kind: 'begin-request'; readonly request: FailoverRequest }
  | { readonly kind: 'bootstrap' }
  /** `from` undefined: by a method that needs no leader. */
  | { readonly kind: 'clone'; readonly from: Upstream | undefined }
  | { readonly kind: 'start'; readonly as: 'primary' | 'replica'; readonly upstream: Upstream | undefined }
  | { readonly kind: 'promote'; readonly sync: PromotionWrite | undefined }
  | (Extract<SyncStep, { kind: 'write-sync' | 'delete-sync' }> & SyncCompare)
  | Extract<SyncStep, { kind: 'set-synchronous-names' }>
  | { readonly kind: 'demote'; readonly demotion: Demotion }
  /** A primary with the key stops in order, archives what it wrote last, keeps the key, and comes back as a standby. */
  | { readonly kind: 'demote-cluster' }
  | { readonly kind: 'follow'; readonly upstream: Upstream }
  | { readonly kind: 'stop-receiving' }
  | { readonly kind: 'rewind'; readonly leader: Upstream }
  | { readonly kind: 'set-aside' }
  /** Ends the task under way, so that another can begin. */
  | { readonly kind: 'cancel-task' }
  | { readonly kind: 'exit'; readonly code: number }

export interface Decision {
  /** The rule's name, as logs and metrics show it. */
  readonly rule: string
  /** The sentence for the log. */
  readonly says: string
  /** Only a person can mend what stands in the way: the sentence is a warning. */
  readonly needsOperator?: boolean
  readonly actions: readonly Action[]
  readonly memory: Memory
  /** Look again this soon, because what stands in the way is likely to pass at once. */
  readonly againInMs?: number
  /** Worth a warning of its own, once. */
  readonly warns?: string
}

/** A rule speaks, or leaves the word to the next. */
export type Rule = (snapshot: Snapshot, memory: Memory) => Decision | undefined

/** Must the keys be read again before the next step? */
export function changesKeys(action: Action): boolean {
  switch (action.kind) {
    case 'write-sync':
    case 'delete-sync':
    case 'register-system-id':
    case 'begin-request':
      return true
    default:
      return false
  }
}

/** Must the server be looked at again before the next step? */
export function changesServer(action: Action): boolean {
  return action.kind === 'set-synchronous-names' || action.kind === 'stop-receiving'
}

/** Does the next step of the turn depend on this action's outcome? */
export function needsAnotherStep(action: Action): boolean {
  switch (action.kind) {
    case 'ask-peers':
    case 'stop-receiving':
    case 'check-divergence':
    case 'check-wal':
    case 'acquire-leader':
    case 'reattach-leader':
    case 'arm-watchdog':
    case 'register-system-id':
    case 'begin-request':
    case 'write-sync':
    case 'delete-sync':
    case 'set-synchronous-names':
      return true
    default:
      return false
  }
}
