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

/**
 * Without a quorum only those lead whom the sync key names. A primary of an older timeline than the history's never leads, a
 * standby of one only where check_timeline is off.
 */
export function checkNewLeader(
  client: string,
  server: SimServer | undefined,
  sync: string | undefined,
  newestTimeline: number,
  { durability, checkTimeline }: Settings,
): void {
  const promise = sync === undefined ? undefined : parseSync(sync)
  const isBound = durability === 'sync' || durability === 'strict'
  if (isBound && promise !== undefined && !isInSync(promise, client))
    throw new Violation('leads-without-being-named', `${client} took the key, the sync key says ${sync}`)
  const timeline = server?.data?.timeline ?? 0
  if (timeline >= newestTimeline || (!checkTimeline && server?.isPrimary !== true)) return
  throw new Violation(
    'leads-with-an-old-timeline',
    `${client} took the key on timeline ${timeline}, the history has ${newestTimeline}`,
  )
}
