// One change on the way to the wanted synchronous state, and what it is decided from. Pure.

import type { SyncState } from '../../cluster/sync.ts'

/** One write, of the `sync` key or of the parameter. The next is decided only when this one has been read back. */
export type SyncStep =
  | { readonly kind: 'write-sync'; readonly sync: SyncState }
  | { readonly kind: 'delete-sync' }
  /** Undefined gives the parameter back to the configuration. */
  | { readonly kind: 'set-synchronous-names'; readonly names: string | undefined }

/** What the next step follows from. */
export interface SyncScene {
  readonly me: string
  /** The `sync` key; undefined when it is absent or says "off". */
  readonly recorded: SyncState | undefined
  /** The parameter in effect. */
  readonly names: string
  /** Those who should confirm, best first, at most the wanted number. */
  readonly picked: readonly string[]
  /** Everybody who could confirm. */
  readonly able: readonly string[]
  /** Those of the parameter that have everything acknowledged before it came into effect, and confirm now. */
  readonly confirmed: readonly string[]
  /** The parameter is in effect for every session since the instant that `confirmed` goes by. */
  readonly isSettled: boolean
  readonly isStrict: boolean
  /** How many shall confirm. */
  readonly wantedCount: number
}

export function recordSync(leader: string, standbys: readonly string[], quorum: number): SyncStep {
  return { kind: 'write-sync', sync: { leader, quorum, standbys: [...standbys].sort() } }
}
