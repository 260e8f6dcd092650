// The cluster's logical slots as they stand on this member. A standby below PostgreSQL 17 gets copies of its leader's, for
// which it is restarted once, and asks until it knows that nothing they need can be missing after a promotion.

import type { ClusterView } from '../cluster/view.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { LogicalSlot, ServerFacts, Slot, SlotsOnLeader, Upstream } from '../postgres/port.ts'
import { leaveSync } from './leave-sync.ts'
import type { AgentParts } from './parts.ts'
import { leaderUpstream } from './rules/say.ts'
import { slotOnPrimary } from './slots.ts'
import type { AgentState } from './state.ts'
import { noUpdate, type Tasks } from './tasks.ts'
import type { Upkeep } from './upkeep.ts'

/**
 * `ready`: its consumer can go on here after a promotion. `unproven`: a copy for which rows may be missing. `missing`: its
 * consumer would lose changes.
 */
export type LogicalSlotState = 'ready' | 'unproven' | 'missing' | 'lost'

/** From this version on PostgreSQL makes and moves copies itself. */
const SYNCED_SINCE = 170000
/** A copy that did not come about costs a restart: not too many of them. */
const COPY_AGAIN_MS = 600_000
const LOOK_AGAIN_MS = 60_000

export class SlotCopies {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #tasks: Tasks
  readonly #upkeep: Pick<Upkeep, 'touchMember'>
  #states: ReadonlyMap<string, LogicalSlotState> = new Map()
  /** Copies that are proven. */
  readonly #proven = new Set<string>()
  /** What the leader's own slot kept when it first kept anything for us: rows before it may be gone. */
  readonly #floors = new Map<string, number>()
  #missingSinceMs: number | undefined
  #nextCopyAtMs = Number.NEGATIVE_INFINITY
  #wasPrimary: boolean | undefined
  readonly #told = new Map<string, string>()

  constructor(parts: AgentParts, state: AgentState, tasks: Tasks, upkeep: Pick<Upkeep, 'touchMember'>) {
    this.#parts = parts
    this.#state = state
    this.#tasks = tasks
    this.#upkeep = upkeep
  }

  /** Each wanted slot on this member, as of the last turn. */
  get states(): ReadonlyMap<string, LogicalSlotState> {
    return this.#states
  }

  /** One look, and at most one question to the leader. Starts a task when copies are to be made. */
  async run(
    wanted: readonly LogicalSlot[],
    facts: ServerFacts,
    view: ClusterView,
    by: Deadline,
  ): Promise<void> {
    if (facts.role === 'primary') {
      this.#lead(wanted, facts)
      return
    }
    this.#wasPrimary = false
    const leader = leaderUpstream(view)
    const isFollowing = leader !== undefined && leader.member !== this.#parts.local.name
    if (facts.serverVersion < SYNCED_SINCE && isFollowing && facts.replicationState === 'streaming')
      await this.#prove(wanted, facts, view, leader, by)
    this.#note(wanted, facts)
    if (facts.serverVersion >= SYNCED_SINCE || !isFollowing || this.#state.config.isPaused) return
    this.#copyMissing(wanted, facts, view, leader)
  }

  /** Right after a promotion it is told which consumers cannot go on, before an empty slot hides it. */
  #lead(wanted: readonly LogicalSlot[], { slots }: ServerFacts): void {
    if (this.#wasPrimary === false) {
      for (const { name } of wanted) {
        const says = promotionSays(name, this.#states.get(name))
        if (says !== undefined) this.#parts.events.record({ kind: 'slot-not-carried-over', says })
      }
    }
    this.#wasPrimary = true
    this.#proven.clear()
    this.#floors.clear()
    this.#missingSinceMs = undefined
    const there = new Map(slots.map(slot => [slot.name, slot]))
    this.#states = new Map(
      wanted.map(({ name }) => {
        const slot = there.get(name)
        return [name, slot === undefined ? 'missing' : slot.isLost ? 'lost' : 'ready']
      }),
    )
  }

  async #prove(
    wanted: readonly LogicalSlot[],
    { slots }: ServerFacts,
    view: ClusterView,
    leader: Upstream,
    by: Deadline,
  ): Promise<void> {
    const { postgres, local } = this.#parts
    const copies = slots.filter(slot => !slot.isPhysical && wanted.some(({ name }) => name === slot.name))
    for (const name of this.#proven)
      if (!copies.some(copy => copy.name === name && !copy.isLost)) this.#proven.delete(name)
    const open = copies.filter(({ name, isLost }) => !isLost && !this.#proven.has(name))
    if (open.length === 0 || postgres.slotsOnLeader === undefined) return
    const names = open.map(({ name }) => name)
    try {
      const said = await postgres.slotsOnLeader(leader, names, slotOnPrimary(view, local.name), by)
      for (const copy of open) this.#judge(copy, said)
    } catch (error) {
      this.#tell('', `logical slots: (${leader.member}) cannot be asked: ${messageOf(error)}`)
    }
  }

  #judge(copy: Slot, { logical, standbyXmin }: SlotsOnLeader): void {
    const floor = this.#floors.get(copy.name) ?? logical.get(copy.name)?.catalogXmin
    if (standbyXmin === undefined || floor === undefined) return
    this.#floors.set(copy.name, floor)
    if (!isProven(floor, standbyXmin, copy.catalogXmin)) return
    this.#proven.add(copy.name)
    this.#floors.delete(copy.name)
    this.#told.delete(copy.name)
    this.#parts.log.info(`logical slot ${copy.name} can be used here after a promotion`)
  }

  #note(wanted: readonly LogicalSlot[], { slots, serverVersion }: ServerFacts): void {
    const there = new Map(slots.flatMap(slot => (slot.isPhysical ? [] : [[slot.name, slot] as const])))
    const isNative = serverVersion >= SYNCED_SINCE
    this.#states = new Map(
      wanted.map(({ name }) => {
        const slot = there.get(name)
        if (slot === undefined) return [name, 'missing']
        if (slot.isLost) return [name, 'lost']
        const isReady = isNative ? slot.isSynced === true && !slot.isTemporary : this.#proven.has(name)
        return [name, isReady ? 'ready' : 'unproven']
      }),
    )
  }

  /** Members take their turns, so that not all standbys restart at once. */
  #copyMissing(
    wanted: readonly LogicalSlot[],
    { slots, replicationState }: ServerFacts,
    view: ClusterView,
    leader: Upstream,
  ): void {
    const { clock, postgres, local } = this.#parts
    const there = new Set(slots.map(({ name }) => name))
    const missing = wanted.filter(slot => !there.has(slot.name) && view.status.slots[slot.name] !== undefined)
    const nowMs = clock.monotonicMs()
    const isCalm = [...view.members.values()].every(
      ({ name, state }) => name === local.name || state === 'running',
    )
    if (missing.length === 0) this.#missingSinceMs = undefined
    else this.#missingSinceMs ??= nowMs
    const sinceMs = this.#missingSinceMs
    if (sinceMs === undefined || replicationState !== 'streaming' || !isCalm) return
    const followers = [...view.members.keys()].filter(name => name !== leader.member).sort()
    const rank = Math.max(0, followers.indexOf(local.name))
    const waitMs = rank * 2 * this.#state.config.loopWaitSeconds * 1000
    if (nowMs < Math.max(this.#nextCopyAtMs, sinceMs + waitMs)) return
    if (postgres.copyLogicalSlots === undefined) return
    this.#startCopy(
      missing.map(({ name }) => name),
      leader,
    )
  }

  #startCopy(names: readonly string[], leader: Upstream): void {
    const { clock, postgres } = this.#parts
    const state = this.#state
    this.#tasks.start({
      kind: 'restart',
      says: `copying logical slots from (${leader.member})`,
      work: async signal => {
        this.#nextCopyAtMs = clock.monotonicMs() + COPY_AGAIN_MS
        try {
          await leaveSync(this.#parts, state, this.#upkeep, signal)
          state.isStopExpected = true
          const left = (await postgres.copyLogicalSlots?.(leader, leader, names, signal)) ?? []
          for (const { name, why } of left) this.#tell(name, `logical slot ${name} is not copied: ${why}`)
          // Nothing was restarted for it.
          if (left.length === names.length) this.#nextCopyAtMs = clock.monotonicMs() + LOOK_AGAIN_MS
        } finally {
          state.isLeavingSync = false
        }
        return noUpdate
      },
      onFailure: noUpdate,
    })
  }

  #tell(name: string, says: string): void {
    if (this.#told.get(name) === says) return
    this.#told.set(name, says)
    this.#parts.log.warning(says)
  }
}

/**
 * Rows that a copy needs are kept when the leader has kept them without a break: by its own slot until `standbyXmin`, by
 * what our feedback keeps from then on. Transaction numbers wrap around.
 */
export function isProven(floor: number, standbyXmin: number, copyXmin: number | undefined): boolean {
  return copyXmin !== undefined && isNotAfter(floor, standbyXmin) && isNotAfter(standbyXmin, copyXmin)
}

function isNotAfter(one: number, other: number): boolean {
  return ((one - other) | 0) <= 0
}

function promotionSays(name: string, state: LogicalSlotState | undefined): string | undefined {
  switch (state) {
    case 'ready':
      return undefined
    case 'unproven':
      return `logical slot ${name} was copied, but rows that its consumer needs may be gone: set the consumer up anew if it fails`
    case 'lost':
      return `logical slot ${name} is lost: its consumer has to be set up anew`
    default:
      return `logical slot ${name} was not carried over: it is made empty, its consumer misses what was committed before that`
  }
}
