// Who may take the free leader key, seen from outside.

import { isInSync, parseSync } from '../../../src/cluster/sync.ts'
import type { Condition, Write } from '../../../src/dcs/dcs.ts'
import type { SimServer } from '../postgres/server.ts'
import type { Settings } from '../settings.ts'
import { Violation } from './violation.ts'

/** Every write of the leader key compares what was read; the name alone is never enough. */
export function checkLeaderWrite(client: string, conditions: readonly Condition[], write: Write): void {
  const about = conditions.filter(condition => condition.key === 'leader')
  const isGuarded =
    write.kind === 'put' ? about.some(one => one.kind !== 'create-revision') : about.length > 0
  if (!isGuarded) throw new Violation('leader-key-without-compare', `${client} ${write.kind} leader`)
}

/** Takes the free key; a change of its lease alone does not. */
export function takesLead(conditions: readonly Condition[], write: Write): boolean {
  return write.kind === 'put' && conditions.some(({ kind, key }) => kind === 'absent' && key === 'leader')
}

/** Somebody has taken the free key. */
export interface NewLeader {
  readonly client: string
  readonly server: SimServer | undefined
  /** The `sync` key at that instant. */
  readonly sync: string | undefined
  readonly newestTimeline: number
  /** Has this peer's answer reached him since the `sync` key was written last? Taking the key compares that it was not since. */
  heard(peer: string): boolean
}

/**
 * Without a quorum only those lead whom the sync key names; with one, who has heard of enough voters. A primary of an older
 * timeline than the history's never leads, a standby of one only where check_timeline is off.
 */
export function checkNewLeader(
  { client, server, sync, newestTimeline, heard }: NewLeader,
  { durability, checkTimeline }: Settings,
): void {
  const promise = sync === undefined ? undefined : parseSync(sync)
  const isBound = durability === 'sync' || durability === 'strict'
  if (isBound && promise !== undefined && !isInSync(promise, client))
    throw new Violation('leads-without-being-named', `${client} took the key, the sync key says ${sync}`)
  if (durability === 'quorum' && promise !== undefined && promise.leader !== client) {
    // One of the voters has every acknowledged commit if `quorum` others of them were seen; who is none needs one more.
    const others = promise.standbys.filter(name => name !== client && heard(name))
    const votes = others.length - (promise.standbys.includes(client) ? 0 : 1)
    if (votes < promise.quorum)
      throw new Violation(
        'leads-without-votes',
        `${client} took the key with ${votes} votes, it says ${sync}`,
      )
  }
  const timeline = server?.data?.timeline ?? 0
  if (timeline >= newestTimeline || (!checkTimeline && server?.isPrimary !== true)) return
  throw new Violation(
    'leads-with-an-old-timeline',
    `${client} took the key on timeline ${timeline}, the history has ${newestTimeline}`,
  )
}
