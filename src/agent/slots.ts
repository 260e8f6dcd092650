// Which slots this server should have. Pure; memory of members that were here lately is handed in and out.

import type { Lsn } from '../cluster/lsn.ts'
import { isTagged, type Member, mayLead, type Tags } from '../cluster/member.ts'
import { slotNameOf } from '../cluster/slot-name.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { PermanentSlot, SlotMatcher } from '../config/agent/slots.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { LogicalSlot, Slot } from '../postgres/port.ts'
import { namedMember } from './rules/source.ts'

/** When each member's slot was last wanted, by the monotonic clock. */
export type SlotMemory = ReadonlyMap<string, number>

export interface WantedSlots {
  /**
   * Slot name to the position that an inactive slot may advance to. Undefined: it stays where it is, for on this server
   * nobody else knows better than its own consumer.
   */
  readonly slots: ReadonlyMap<string, Lsn | undefined>
  /** A primary makes them, a standby gets copies. */
  readonly logical: readonly LogicalSlot[]
  readonly memory: SlotMemory
}

export interface SlotScene {
  readonly view: ClusterView
  readonly name: string
  readonly tags: Tags
  /** The leader decides how long a member that left keeps its slot; the others go by what it retains. */
  readonly isLeader: boolean
  readonly config: Pick<DynamicConfig, 'memberSlotsTtlSeconds' | 'permanentSlots' | 'standbyCluster'>
  readonly memory: SlotMemory
  readonly nowMs: number
}

/**
 * A slot for every other member, for members that left less than `member_slots_ttl` ago, and the permanent ones. A member
 * that may become the leader has them all, so that everybody finds his WAL on it; one that may not serves its own followers.
 * Where nothing is kept for a member that left, the leader has slots only for those that follow it, not for cascading ones.
 * A standby's slot for somebody who streams from elsewhere must move on, or it keeps WAL for ever: Patroni below 4 publishes no
 * positions of physical slots, so that a member's own word counts, and a slot of which nobody knows where it stands is not had.
 * One of ours, or a Patroni from 4 on, will publish them: until then such a slot stays where it is, for its consumer may be hours
 * behind.
 */
export function wantedSlots(scene: SlotScene): WantedSlots {
  const { view, name, config } = scene
  const memory = membersSeen(scene)
  const isKeeper = scene.isLeader || mayLead(scene)
  const isPassing = config.memberSlotsTtlSeconds === 0
  const followers = followersOf(view, name)
  const cascading = cascadingMembers(view)
  const positions = positionsOf(view.members.values())
  const keepsUntold = scene.isLeader || mayPublishPositions(view)
  const slots = new Map<string, Lsn | undefined>()
  for (const member of memory.keys()) {
    const isLeaders = scene.isLeader && !(isPassing && cascading.has(member))
    const isWanted = followers.has(member) || (isKeeper && (isLeaders || !isPassing))
    // The leader's slot for a cascading member is nobody's to move on but ours: it would keep WAL for ever.
    const to = scene.isLeader ? cascading.get(member) : (view.status.slots[member] ?? positions.get(member))
    if (isWanted && (keepsUntold || followers.has(member) || to !== undefined)) slots.set(member, to)
  }
  if (!isKeeper) return { slots, logical: [], memory }
  const logical: LogicalSlot[] = []
  for (const [permanent, wish] of config.permanentSlots) {
    if (permanent === slotNameOf(name) || !isKept(wish, config)) continue
    // It may bear a member's name.
    const to = scene.isLeader ? undefined : (view.status.slots[permanent] ?? positions.get(permanent))
    if (wish.kind === 'physical' && (keepsUntold || to !== undefined)) slots.set(permanent, to)
    else if (wish.kind === 'logical')
      logical.push({
        name: permanent,
        database: wish.database,
        plugin: wish.plugin,
        confirmedLsn: view.status.slots[permanent],
      })
  }
  return { slots, logical: isTagged(scene.tags, 'nostream') ? [] : logical, memory }
}

/**
 * The slot by which the primary keeps rows for this member: its own, or that of the member at the top of the line that it
 * replicates through.
 */
export function slotOnPrimary({ members, leader }: ClusterView, name: string): string {
  let me = name
  for (const _ of members) {
    const next = members.get(me)?.tags['replicatefrom']
    if (typeof next !== 'string' || !members.has(next) || next === leader?.name || next === me) break
    me = next
  }
  return slotNameOf(me)
}

/** Is this existing slot out of our hands? */
export function isOthersSlot(
  slot: Slot,
  { ignoredSlots, permanentSlots }: Pick<DynamicConfig, 'ignoredSlots' | 'permanentSlots'>,
): boolean {
  return permanentSlots.get(slot.name)?.kind === 'unclear' || ignoredSlots.some(one => matches(slot, one))
}

/** The slots of members that are here or were lately. */
function membersSeen({ view, name, isLeader, config, memory, nowMs }: SlotScene): SlotMemory {
  const seen = new Map<string, number>()
  const ttlMs = config.memberSlotsTtlSeconds * 1000
  for (const [member, seenAtMs] of memory) {
    if (nowMs - seenAtMs <= ttlMs && ttlMs > 0) seen.set(member, seenAtMs)
  }
  for (const member of ttlMs > 0 ? view.status.retainSlots : []) {
    // What we ourselves wrote must not keep what we have just let go.
    if (!isLeader || !memory.has(member)) seen.set(member, nowMs)
  }
  for (const member of view.members.values()) {
    if (isTagged(member.tags, 'nostream')) seen.delete(slotNameOf(member.name))
    else seen.set(slotNameOf(member.name), nowMs)
  }
  seen.delete(slotNameOf(name))
  return seen
}

/** Only of a Patroni below 4 is it known that it may never tell where physical slots stand. Its key says which one it is. */
function mayPublishPositions({ members, leader }: ClusterView): boolean {
  const leading = members.get(leader?.name ?? '')
  return (
    leading === undefined || leading.pgherd !== undefined || Number.parseInt(leading.version ?? '', 10) >= 4
  )
}

function followersOf(view: ClusterView, name: string): ReadonlySet<string> {
  const followers = [...view.members.values()].filter(({ tags }) => tags['replicatefrom'] === name)
  return new Set(followers.map(member => slotNameOf(member.name)))
}

/** Those that follow another member than the leader, with how far they are. One that has given its own up says so. */
function cascadingMembers(view: ClusterView): ReadonlyMap<string, Lsn | undefined> {
  const members = [...view.members.values()].filter(
    ({ name, tags, pgherd }) =>
      name !== view.leader?.name &&
      pgherd?.['follows_leader'] !== true &&
      namedMember(view, name, tags) !== undefined,
  )
  return positionsOf(members)
}

function positionsOf(members: Iterable<Member>): ReadonlyMap<string, Lsn | undefined> {
  return new Map([...members].map(({ name, walPosition }) => [slotNameOf(name), walPosition]))
}

function isKept(wish: PermanentSlot, { standbyCluster }: SlotScene['config']): boolean {
  if (wish.kind === 'unclear') return false
  const type = standbyCluster === undefined ? 'primary' : 'standby'
  return (wish.clusterType ?? type) === type
}

function matches(slot: Slot, matcher: SlotMatcher): boolean {
  const has = {
    name: slot.name,
    type: slot.isPhysical ? 'physical' : 'logical',
    database: slot.database,
    plugin: slot.plugin,
  }
  return (['name', 'type', 'database', 'plugin'] as const).every(
    field => matcher[field] === undefined || matcher[field] === has[field],
  )
}
