// Who leads by the checks of a file alone, where codes are all there is. Pure. A change of leader is a new epoch, counted
// here: the old one is retired before the new one takes a session, whatever the counters still say about it.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import type { MemberHealth } from '../health/verdict.ts'
import type { Believed, Leadership } from './leadership.ts'

/** All epochs by checks belong to this store. */
export const CHECKS_CLUSTER = 'checks'

export interface Elected {
  readonly believed: Believed
  /** Others that answer as leaders while one does, or all of them while nobody can tell them apart. */
  readonly rivals: readonly string[]
}

/** What to believe after the latest checks of `servers`. */
export function electByChecks(
  believed: Leadership,
  health: ReadonlyMap<string, MemberHealth>,
  servers: readonly string[],
  nowMs: number,
): Elected {
  const good = servers.filter(name => isGood(health.get(name), nowMs))
  const present = believed.epoch?.member
  const others = good.filter(name => name !== present)
  if (present !== undefined && good.includes(present)) {
    const later = others.find(name => timelineOf(health, name) > timelineOf(health, present))
    if (later !== undefined) return { believed: take(believed, later, health), rivals: [] }
    return { believed: keep(believed), rivals: others }
  }
  const [only] = latest(others, health)
  if (only !== undefined && latest(others, health).length === 1) {
    return { believed: take(believed, only, health), rivals: [] }
  }
  if (others.length > 1) return { believed: lose(believed, nowMs), rivals: others }
  // Nobody answers as the leader. A lost answer is not a no: the counter has the last word about silence.
  const own = present === undefined ? undefined : health.get(present)
  const isOnlySilent = own?.counter.isUp === true && own.silence !== undefined
  return { believed: isOnlySilent ? keep(believed) : lose(believed, nowMs), rivals: [] }
}

function isGood(health: MemberHealth | undefined, nowMs: number): boolean {
  return health?.counter.isUp === true && health.wasGood && health.leadsUntilMs > nowMs
}

/** Those on the highest timeline; all of them where no document tells one. */
function latest(names: readonly string[], health: ReadonlyMap<string, MemberHealth>): readonly string[] {
  const highest = Math.max(...names.map(name => timelineOf(health, name)))
  return names.filter(name => timelineOf(health, name) === highest)
}

function timelineOf(health: ReadonlyMap<string, MemberHealth>, name: string): number {
  return health.get(name)?.answer?.timeline ?? 0
}

function keep(believed: Leadership): Believed {
  if (believed.hasKey || believed.epoch === undefined) return { next: believed, change: 'none' }
  return { next: { ...believed, hasKey: true, goneAtMs: undefined }, change: 'key-back' }
}

function lose(believed: Leadership, nowMs: number): Believed {
  if (!believed.hasKey) return { next: believed, change: 'none' }
  return { next: { ...believed, hasKey: false, goneAtMs: nowMs }, change: 'key-gone' }
}

function take(believed: Leadership, member: string, health: ReadonlyMap<string, MemberHealth>): Believed {
  const { epoch: before } = believed
  const createRevision = (before?.createRevision ?? 0n) + 1n
  const epoch: Epoch = { clusterId: CHECKS_CLUSTER, createRevision, member }
  if (before !== undefined && sameEpoch(before, epoch)) return keep(believed)
  const next: Leadership = {
    ...believed,
    clusterId: CHECKS_CLUSTER,
    epoch,
    hasKey: true,
    // The answer that makes it the leader is also its proof.
    seenAtMs: health.get(member)?.answer?.sentAtMs ?? Number.NEGATIVE_INFINITY,
    goneAtMs: undefined,
  }
  return { next, change: 'epoch' }
}
