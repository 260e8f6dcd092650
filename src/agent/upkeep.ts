// What every turn ends with: the leader's position and history, slots, our member key. Best effort: a failure is logged
// and tried again next turn. Leadership writes carry our term's compare, so a late one cannot harm.

import { clusterTimeline, type HistoryLine, printHistory } from '../cluster/history.ts'
import type { Lsn } from '../cluster/lsn.ts'
import { slotNameOf } from '../cluster/slot-name.ts'
import { printStatus } from '../cluster/status.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { LeaderHold, Write } from '../dcs/dcs.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { ServerFacts } from '../postgres/port.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { printMemberKey } from './member-key.ts'
import type { AgentParts } from './parts.ts'
import { walPosition } from './race.ts'
import { wantedSlots } from './slots.ts'
import { type AgentState, memberRole, memberState } from './state.ts'
import type { Tasks } from './tasks.ts'

/** Beyond the time for etcd: what the server may take at the end of a turn. The lease is renewed only while turns begin. */
const SERVER_WORK_MS = 1_000

export class Upkeep {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #tasks: Tasks

  constructor(parts: AgentParts, state: AgentState, keeper: LeaseKeeper, tasks: Tasks) {
    this.#parts = parts
    this.#state = state
    this.#keeper = keeper
    this.#tasks = tasks
  }

  /** One round. Never throws. */
  async run(): Promise<void> {
    await this.#quietly('member key', () => this.touchMember())
    const { view, server } = this.#state
    const { hold } = this.#keeper
    const { facts } = server
    if (view === undefined || facts === undefined || this.#tasks.running !== undefined) return
    const { retryTimeoutSeconds } = this.#state.config
    const by = Deadline.in(this.#parts.clock, retryTimeoutSeconds * 1000 + SERVER_WORK_MS)
    await this.#quietly('configuration', () => this.#configure(by))
    if (this.#state.config.useSlots) await this.#quietly('slots', () => this.#syncSlots(view, facts, by))
    if (
      hold !== undefined &&
      facts.role === 'primary' &&
      view.leader?.createRevision === hold.createRevision
    ) {
      await this.#quietly('status', () => this.#publish(view, facts, hold))
    }
  }

  async #quietly(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#parts.log.warning(`${what} not updated: ${messageOf(error)}`)
    }
  }

  #deadline(): Deadline {
    return Deadline.in(this.#parts.clock, this.#state.config.retryTimeoutSeconds * 1000)
  }

  /** Writes our member key when its content or its lease changed. */
  async touchMember(): Promise<void> {
    const { dcs, local } = this.#parts
    const state = this.#state
    if (state.view === undefined) return
    const by = this.#deadline()
    const leaseId = await this.#keeper.ensureLease(by)
    const value = this.#memberValue()
    const known = state.view.members.get(local.name)
    const isThere = known !== undefined && known.leaseId === leaseId
    const last = state.writtenMember
    if (isThere && last?.value === value && last.leaseId === leaseId) return
    const { outcome } = await dcs.write(
      [],
      [{ kind: 'put', key: `members/${local.name}`, value, leaseId }],
      by,
    )
    state.writtenMember = outcome === 'won' ? { value, leaseId } : undefined
    // The lease that the key should hang on is gone: the keeper will find out and grant another.
    if (outcome === 'lost') this.#parts.log.warning('member key not written: its lease is gone')
  }

  #memberValue(): string {
    const { local, apiUrl, version } = this.#parts
    const state = this.#state
    return printMemberKey({
      address: local.postgres.connectAddress,
      database: local.postgres.database,
      apiUrl,
      state: memberState(state, this.#tasks.running?.kind),
      role: memberRole(state),
      facts: state.server.facts,
      tags: local.tags,
      isPaused: state.config.isPaused,
      isRestartPending: state.isRestartPending,
      checkpointAfterPromote: state.checkpointAfterPromote,
      version,
      phases: state.phases,
    })
  }

  /** The server gets its settings again when the cluster's configuration changed what they are. */
  async #configure(by: Deadline): Promise<void> {
    const { postgres, settingsFor } = this.#parts
    const state = this.#state
    const settings = settingsFor(state.config)
    const text = JSON.stringify(settings)
    if (text === state.appliedSettings) return
    const isFirst = state.appliedSettings === undefined
    // The server was started, or taken over, with the settings of that moment.
    if (!isFirst) state.isRestartPending = await postgres.configure(settings, by)
    // Only now: what failed is tried again in the next turn.
    state.appliedSettings = text
  }

  async #syncSlots(view: ClusterView, facts: ServerFacts, by: Deadline): Promise<void> {
    const { local, clock, postgres, log } = this.#parts
    const state = this.#state
    const ttlMs = state.config.memberSlotsTtlSeconds * 1000
    const wanted = wantedSlots(view, local.name, state.slots, clock.monotonicMs(), ttlMs)
    state.slots = wanted.memory
    const done = await postgres.syncSlots(wanted.slots, facts, by)
    for (const change of done) log.info(change)
  }

  /** The leader's position and slots, and the history after a promotion, in one guarded transaction. */
  async #publish(view: ClusterView, facts: ServerFacts, hold: LeaderHold): Promise<void> {
    const state = this.#state
    const writes: Write[] = []
    const status = this.#status(facts)
    if (status !== state.writtenStatus) writes.push({ kind: 'put', key: 'status', value: status })
    const history = await this.#newHistory(view, facts)
    if (history !== undefined) writes.push({ kind: 'put', key: 'history', value: history })
    if (writes.length === 0) return
    const { outcome } = await writeAsLeader(this.#parts.dcs, hold, writes, this.#deadline())
    state.writtenStatus = outcome === 'won' ? status : undefined
  }

  #status(facts: ServerFacts): string {
    const { local } = this.#parts
    const own = slotNameOf(local.name)
    const slots: Record<string, Lsn> = { [own]: walPosition(facts) }
    for (const slot of facts.slots) {
      if (slot.isPhysical && slot.restartLsn !== undefined && slot.name !== own)
        slots[slot.name] = slot.restartLsn
    }
    return printStatus({ optime: walPosition(facts), slots, retainSlots: [...this.#state.slots.keys()] })
  }

  async #newHistory(view: ClusterView, facts: ServerFacts): Promise<string | undefined> {
    const { postgres, clock, local } = this.#parts
    const known = view.history?.value
    if (facts.timeline === 1 && known === undefined) return undefined
    if (clusterTimeline(known) === facts.timeline) return undefined
    const lines = await postgres.historyLines(facts.timeline, this.#deadline())
    if (lines === undefined) return undefined
    const time = new Date(clock.wallMs()).toISOString()
    const told = lines.map((line, index): HistoryLine => {
      const before = known?.find(old => old.timeline === line.timeline && old.switchLsn === line.switchLsn)
      if (before !== undefined) return before
      return index === lines.length - 1 ? { ...line, time, newLeader: local.name } : line
    })
    const limit = this.#state.config.maxTimelinesHistory
    return printHistory(limit > 0 ? told.slice(-limit) : told)
  }
}
