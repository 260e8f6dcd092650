// What a router is made from and whom it tells.

import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import type { PauseWatch } from './backend.ts'
import type { BookOptions } from './evidence-book.ts'
import type { Narrator } from './narrator.ts'
import type { RosterMember } from './roster.ts'

export interface RouterOptions
  extends Partial<Omit<BookOptions, 'limits' | 'timing'>>,
    Pick<BookOptions, 'limits' | 'timing'> {
  readonly clock: Clock
  readonly narrator: Narrator
  readonly watch?: PauseWatch
  /** Is the store silent now? */
  readonly isStoreSilent?: () => boolean
  /** Servers of the file that are no members: only the checks of their pools speak for them. */
  readonly servers?: readonly { readonly name: string; readonly address: HostPort }[]
  /** How long sessions of a pool stay on a server that has left it; undefined: as long as they want. */
  readonly cutAfterMs?: (pool: string) => number | undefined
}

/** Who is told what the router needs or changed. */
export interface RouterListener {
  /** Evidence was looked at again: waiting sessions may try. Called after each look. */
  onRouted(): void
  /** Members to probe may have changed. */
  onMembers(members: ReadonlyMap<string, RosterMember>): void
  /** This member should be asked soon. */
  onCurious(member: string, delayMs: number): void
  /** The store should be read now. */
  onDoubt(why: string): void
  /** This member's server should be asked itself. */
  onPing?(member: string): void
}
