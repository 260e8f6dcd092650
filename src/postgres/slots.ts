// Physical replication slots: which are missing, which are in the way, which must move on. Deciding is pure.

import pg from 'pg'
import { formatLsn, type Lsn } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Connection } from './connection.ts'
import type { ServerFacts, Slot } from './port.ts'

export type SlotChange =
  | { readonly kind: 'create' | 'drop'; readonly name: string }
  | { readonly kind: 'advance'; readonly name: string; readonly to: Lsn }

const NAME = /^[a-z0-9_]{1,63}$/

/**
 * What has to change so that exactly the wanted physical slots exist. Logical and temporary ones are not ours; an active
 * one that nobody wants goes when its client does. A lost slot, one that reserves nothing, and on a standby one that holds
 * back vacuum for nobody, are made again. An idle slot follows the position that is wanted for it: on a standby, and on a
 * primary for a member that streams from another one.
 */
export function slotChanges(
  wanted: ReadonlyMap<string, Lsn | undefined>,
  facts: Pick<ServerFacts, 'role' | 'slots' | 'replayedLsn' | 'writeLsn'>,
): readonly SlotChange[] {
  const existing = new Map(facts.slots.map(slot => [slot.name, slot]))
  const changes: SlotChange[] = []
  for (const slot of facts.slots) {
    if (slot.isPhysical && !slot.isTemporary && !slot.isActive && !wanted.has(slot.name))
      changes.push({ kind: 'drop', name: slot.name })
  }
  for (const [name, to] of wanted) {
    const slot = existing.get(name)
    if (slot === undefined) {
      if (NAME.test(name)) changes.push({ kind: 'create', name })
      continue
    }
    if (!slot.isPhysical || slot.isActive) continue
    const isIdle = facts.role === 'replica' || to !== undefined
    if (isUseless(slot, isIdle)) {
      changes.push({ kind: 'drop', name }, { kind: 'create', name })
    } else if (to !== undefined) {
      const end = facts.role === 'replica' ? facts.replayedLsn : facts.writeLsn
      const reachable = end !== undefined && end < to ? end : to
      if ((slot.restartLsn ?? 0n) < reachable) changes.push({ kind: 'advance', name, to: reachable })
    }
  }
  return changes
}

/** What remains where nothing may be dropped: a slot that would be made again stays as it is. */
export function withoutDrops(changes: readonly SlotChange[]): readonly SlotChange[] {
  const dropped = new Set(changes.filter(({ kind }) => kind === 'drop').map(({ name }) => name))
  return changes.filter(({ name }) => !dropped.has(name))
}

function isUseless(slot: Slot, isIdle: boolean): boolean {
  return slot.isLost || slot.restartLsn === undefined || (isIdle && slot.holdsXmin)
}

/** Carries the changes out, each by itself: one that fails is told and does not stop the others. Returns sentences. */
export async function applySlotChanges(
  changes: readonly SlotChange[],
  connection: Connection,
  log: Logger,
  by: Deadline,
): Promise<readonly string[]> {
  const done: string[] = []
  for (const change of changes) {
    if (by.isOver()) break
    try {
      await connection.query(statementOf(change), by)
      if (change.kind !== 'advance')
        done.push(`${change.kind === 'create' ? 'created' : 'dropped'} slot ${change.name}`)
    } catch (error) {
      log.warning(`cannot ${change.kind} slot ${change.name}: ${messageOf(error)}`)
    }
  }
  return done
}

function statementOf(change: SlotChange): string {
  const name = pg.escapeLiteral(change.name)
  switch (change.kind) {
    case 'create':
      return `SELECT pg_create_physical_replication_slot(${name}, true)`
    case 'drop':
      return `SELECT pg_drop_replication_slot(${name})`
    case 'advance':
      return `SELECT pg_replication_slot_advance(${name}, '${formatLsn(change.to)}')`
  }
}
