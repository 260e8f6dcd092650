// Logical slots that the cluster keeps: what a primary has to make, and on a standby which copies must move on or go. Pure.

import type { Lsn } from '../cluster/lsn.ts'
import type { LogicalSlot, ServerFacts, Slot } from './port.ts'

/** From this version on PostgreSQL itself carries a slot over to the standbys that ask for it. */
export const SYNCED_SINCE = 170000
/** From this version on a slot on a standby may have a consumer there. */
const DECODES_ON_STANDBY_SINCE = 160000

export interface LogicalPlan {
  readonly create: readonly LogicalSlot[]
  readonly drop: readonly { readonly name: string; readonly why: string }[]
  readonly advance: readonly { readonly slot: LogicalSlot; readonly to: Lsn }[]
  /** What a person should hear about a slot. */
  readonly complaints: readonly { readonly name: string; readonly says: string }[]
}

const NOTHING: LogicalPlan = { create: [], drop: [], advance: [], complaints: [] }

/** What has to change on a server so that the wanted slots exist, and copies on a standby follow their leader's. */
export function logicalPlan(
  wanted: readonly LogicalSlot[],
  facts: Pick<ServerFacts, 'role' | 'slots' | 'serverVersion' | 'replayedLsn'>,
): LogicalPlan {
  const there = new Map(facts.slots.map(slot => [slot.name, slot]))
  const complaints = wanted.flatMap(slot => {
    const found = there.get(slot.name)
    const says = found === undefined ? undefined : complaintOf(found, slot, facts)
    return says === undefined ? [] : [{ name: slot.name, says }]
  })
  if (facts.role === 'primary')
    return { ...NOTHING, complaints, create: wanted.filter(({ name }) => !there.has(name)) }
  const names = new Set(wanted.map(({ name }) => name))
  const dropped = facts.slots.flatMap(slot => {
    const why =
      slot.isActive || slot.isTemporary || slot.isPhysical ? undefined : inTheWay(slot, names, facts)
    return why === undefined ? [] : [{ name: slot.name, why }]
  })
  const gone = new Set(dropped.map(({ name }) => name))
  const advance = wanted.flatMap(slot => {
    const found = there.get(slot.name)
    const to = reachable(slot, facts.replayedLsn)
    const isCopy = found !== undefined && isSame(found, slot) && !found.isActive && !gone.has(slot.name)
    if (!isCopy || found.isSynced === true || to === undefined) return []
    const at = found.confirmedLsn ?? 0n
    return at < to || (at === to && slot.isUnproven === true) ? [{ slot, to }] : []
  })
  return { ...NOTHING, complaints, drop: dropped, advance }
}

/** Is this the slot that is wanted, in the right database? */
export function isSame(found: Slot, { database, plugin }: LogicalSlot): boolean {
  return !found.isPhysical && found.database === database && found.plugin === plugin
}

function complaintOf(
  found: Slot,
  slot: LogicalSlot,
  { role, serverVersion }: Pick<ServerFacts, 'role' | 'serverVersion'>,
): string | undefined {
  if (!isSame(found, slot)) return 'exists already with another kind, database or plugin: it is left alone'
  if (role !== 'primary') return undefined
  if (found.isLost)
    return 'is lost, what its consumer needs is gone: set the consumer up anew and drop the slot, it is then made again'
  return serverVersion >= SYNCED_SINCE && found.isFailover !== true
    ? `gets no copies on standbys: run ALTER_REPLICATION_SLOT ${slot.name} (FAILOVER true) over a replication connection`
    : undefined
}

/** Why a slot on a standby has to go; undefined when it may stay. */
function inTheWay(
  slot: Slot,
  wanted: ReadonlySet<string>,
  { serverVersion }: Pick<ServerFacts, 'serverVersion'>,
): string | undefined {
  if (wanted.has(slot.name)) {
    if (serverVersion >= SYNCED_SINCE)
      return slot.isSynced === true ? undefined : 'PostgreSQL can make its own copy in its place'
    return slot.isLost ? 'it is lost: it is copied again' : undefined
  }
  return serverVersion < DECODES_ON_STANDBY_SINCE
    ? 'nobody can read from it on a standby, and it would hold back WAL for ever'
    : undefined
}

function reachable({ confirmedLsn }: LogicalSlot, replayed: Lsn | undefined): Lsn | undefined {
  if (confirmedLsn === undefined || replayed === undefined) return undefined
  return replayed < confirmedLsn ? replayed : confirmedLsn
}
