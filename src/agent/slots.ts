// Which physical slots this server should have. Pure; memory of members that were here lately is handed in and out.

import type { Lsn } from '../cluster/lsn.ts'
import { isTagged } from '../cluster/member.ts'
import { slotNameOf } from '../cluster/slot-name.ts'
import type { ClusterView } from '../cluster/view.ts'

/** When each member's slot was last wanted, by the monotonic clock. */
export type SlotMemory = ReadonlyMap<string, number>

export interface WantedSlots {
  /** Slot name to the position that an inactive slot on a standby may advance to. */
  readonly slots: ReadonlyMap<string, Lsn | undefined>
  readonly memory: SlotMemory
}

/**
 * A slot for every other member, and for members that left less than `ttlMs` ago. A member that may become the leader
 * keeps them too, so that the others find their WAL on it.
 */
export function wantedSlots(
  view: ClusterView,
  me: string,
  memory: SlotMemory,
  nowMs: number,
  ttlMs: number,
): WantedSlots {
  const seen = new Map<string, number>()
  for (const [name, seenAtMs] of memory) {
    if (nowMs - seenAtMs <= ttlMs) seen.set(name, seenAtMs)
  }
  for (const name of view.status.retainSlots) {
    if (!seen.has(name)) seen.set(name, memory.get(name) ?? nowMs)
  }
  for (const member of view.members.values()) {
    if (!isTagged(member.tags, 'nostream')) seen.set(slotNameOf(member.name), nowMs)
  }
  seen.delete(slotNameOf(me))
  const slots = new Map<string, Lsn | undefined>()
  for (const name of seen.keys()) slots.set(name, view.status.slots[name])
  return { slots, memory: seen }
}
