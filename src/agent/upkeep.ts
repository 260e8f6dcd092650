// What every turn ends with: the leader's position and history, slots, our member key. Best effort: a failure is logged
// and tried again next turn. Leadership writes carry our term's compare, so a late one cannot harm.

import { clusterTimeline, type HistoryLine, printHistory } from '../cluster/history.ts'
import { printJson } from '../cluster/json.ts'
import type { Lsn } from '../cluster/lsn.ts'
import { printScheduledRestart } from '../cluster/restart.ts'
import { slotNameOf } from '../cluster/slot-name.ts'
import { printStatus } from '../cluster/status.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { LeaderHold, Write } from '../dcs/dcs.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { ServerFacts } from '../postgres/port.ts'
import type { Callbacks } from './callbacks.ts'
import { FAILSAFE_KEY, printFailsafe } from './failsafe-key.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { printMemberKey } from './member-key.ts'
import type { AgentParts } from './parts.ts'
import { walPosition } from './race.ts'
import { settingsNow } from './server-settings.ts'
import { SlotCopies } from './slot-copies.ts'
import { isOthersSlot, wantedSlots } from './slots.ts'
import { type AgentState, memberRole, memberState, pendingReasons } from './state.ts'
import { keepStandbyNames } from './synchronous.ts'
import type { Tasks } from './tasks.ts'

/** Beyond the time for etcd: what the server may take at the end of a turn. The lease is renewed only while turns begin. */
const SERVER_WORK_MS = 1_000

export class Upkeep {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #tasks: Tasks
  readonly #callbacks: Callbacks
  readonly #copies: SlotCopies

  constructor(parts: AgentParts, state: AgentState, keeper: LeaseKeeper, tasks: Tasks, callbacks: Callbacks) {
    this.#parts = parts
    this.#state = state
    this.#keeper = keeper
    this.#tasks = tasks
    this.#callbacks = callbacks
    this.#copies = new SlotCopies(parts, state, tasks, this)
  }

  /** One round. Never throws. */
  async run(): Promise<void> {
    await this.#quietly('member key', () => this.touchMember())
    const { view, server } = this.#state
    const { hold } = this.#keeper
    const { facts } = server
    // A server that does not run gets its settings when it starts.
    if (view !== undefined && server.process === 'stopped') this.#noteUsed(view)
    if (view === undefined || facts === undefined || this.#tasks.running !== undefined) return
    const { retryTimeoutSeconds } = this.#state.config
    const by = Deadline.in(this.#parts.clock, retryTimeoutSeconds * 1000 + SERVER_WORK_MS)
    await this.#quietly('configuration', () => this.#configure(view, facts, by))
    await this.#quietly('replay', () => this.#endStarvedReplay(facts, by))
    await this.#quietly('kept configuration', () => this.#keepConfig(view, by))
    // Without a leader each turn is a race, and whoever wins it sets the names before the promotion.
    if (facts.role === 'replica' && view.leader !== undefined) {
      const context = { parts: this.#parts, state: this.#state }
      await this.#quietly('synchronous standbys', () => keepStandbyNames(context, by))
    }
    if (this.#state.config.useSlots) await this.#quietly('slots', () => this.#syncSlots(view, facts, by))
    const isLeading = facts.role === 'primary' || this.#state.config.standbyCluster !== undefined
    if (hold !== undefined && isLeading && view.leader?.createRevision === hold.createRevision) {
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
    const last = state.writtenMember
    // What we wrote after the view was read is not in it. Otherwise the view counts: a write that was given up may have come
    // late and on top of a newer one.
    const isOlder = last !== undefined && state.view.position.revision < last.revision
    const there = isOlder ? last.value : known === undefined ? undefined : printJson(known.raw)
    if (known?.leaseId === leaseId && there === value) return
    const { outcome, revision } = await dcs.write(
      [],
      [{ kind: 'put', key: `members/${local.name}`, value, leaseId }],
      by,
    )
    state.writtenMember = outcome === 'won' && revision !== undefined ? { value, revision } : undefined
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
      role: memberRole(state, this.#keeper.hold !== undefined),
      facts: state.server.facts,
      tags: state.isLeavingSync ? { ...local.tags, nosync: true, sync_priority: 0 } : local.tags,
      isPaused: state.config.isPaused,
      isRestartPending: state.server.facts?.isRestartPending ?? false,
      pendingReasons: pendingReasons(state),
      scheduledRestart:
        state.scheduledRestart === undefined
          ? undefined
          : printScheduledRestart(state.scheduledRestart, true),
      checkpointAfterPromote: state.checkpointAfterPromote,
      version,
      phases: state.phases,
      hasGivenUpNamed: state.memory.silentNamed?.givenUpAtMs !== undefined,
      clone: this.#parts.postgres.cloneProgress?.(),
    })
  }

  /** The server gets its settings again when the configuration, or a role with settings of its own, changed what they are. */
  async #configure(view: ClusterView, { role }: ServerFacts, by: Deadline): Promise<void> {
    const { postgres } = this.#parts
    const state = this.#state
    const settings = settingsNow({ parts: this.#parts, state, keeper: this.#keeper })
    const text = JSON.stringify([settings, settings.byRole === undefined ? null : role])
    if (text !== state.appliedSettings) {
      // Also the first time: a server that was taken over may have been started with other settings.
      await postgres.configure(settings, by)
      // The first time nobody has ordered or changed anything.
      if (state.appliedSettings !== undefined || state.isReloadOrdered)
        this.#callbacks.reloaded(memberRole(state, this.#keeper.hold !== undefined))
      // Only now: what failed is tried again in the next turn.
      state.appliedSettings = text
      state.isReloadOrdered = false
      for (const warning of settings.warnings) this.#parts.log.warning(warning)
    }
    this.#noteUsed(view)
  }

  /** Whoever changed the configuration may wait for this. */
  #noteUsed({ config }: ClusterView): void {
    this.#state.usedConfigRevision = config?.modRevision
  }

  async #endStarvedReplay({ role, isReplayPaused }: ServerFacts, by: Deadline): Promise<void> {
    if (role !== 'replica' || !isReplayPaused || this.#state.config.isPaused) return
    await this.#parts.postgres.endStarvedReplay?.(by)
  }

  /** A pause must outlive an agent that is started again while etcd is away. */
  async #keepConfig({ config }: ClusterView, by: Deadline): Promise<void> {
    const state = this.#state
    if (config === undefined || config.modRevision === state.keptConfigRevision) return
    await this.#parts.postgres.keepDynamicConfig?.(config.value, by)
    state.keptConfigRevision = config.modRevision
  }

  async #syncSlots(view: ClusterView, facts: ServerFacts, by: Deadline): Promise<void> {
    const { local, clock, postgres, log } = this.#parts
    const state = this.#state
    const { config } = state
    const isLeader = this.#keeper.hold !== undefined && view.leader?.name === local.name
    const nowMs = clock.monotonicMs()
    const scene = { view, name: local.name, tags: local.tags, isLeader, config, memory: state.slots, nowMs }
    const wanted = wantedSlots(scene)
    state.slots = wanted.memory
    const others = new Set(facts.slots.filter(slot => isOthersSlot(slot, config)).map(({ name }) => name))
    const ours = facts.slots.filter(({ name }) => !others.has(name))
    const slots = new Map([...wanted.slots].filter(([name]) => !others.has(name)))
    const logical = wanted.logical
      .filter(({ name }) => !others.has(name))
      .map(slot => ({ ...slot, isUnproven: state.logicalSlots.get(slot.name) === 'unproven' }))
    // In a pause nothing that is there is dropped: whoever works on the cluster may need its WAL.
    const done = await postgres.syncSlots(slots, { ...facts, slots: ours }, by, logical, config.isPaused)
    for (const change of done) log.info(change)
    await this.#copies.run(logical, facts, view, by)
    state.logicalSlots = this.#copies.states
  }

  /** The leader's position and slots, and the history after a promotion, in one guarded transaction. */
  async #publish(view: ClusterView, facts: ServerFacts, hold: LeaderHold): Promise<void> {
    const state = this.#state
    const writes: Write[] = []
    const status = this.#status(facts)
    if (status !== state.writtenStatus) writes.push({ kind: 'put', key: 'status', value: status })
    const history = await this.#newHistory(view, facts)
    if (history !== undefined) writes.push({ kind: 'put', key: 'history', value: history })
    const failsafe = this.#failsafeWrite(view)
    if (failsafe !== undefined) writes.push(failsafe)
    if (writes.length === 0) return
    const { outcome } = await writeAsLeader(this.#parts.dcs, hold, writes, this.#deadline())
    state.writtenStatus = outcome === 'won' ? status : undefined
  }

  /** Who takes part in failsafe mode changes with the members; without the mode there is no key. */
  #failsafeWrite(view: ClusterView): Write | undefined {
    const { local, apiUrl } = this.#parts
    const state = this.#state
    if (!state.config.isFailsafeMode) {
      return view.failsafe === undefined ? undefined : { kind: 'delete', key: FAILSAFE_KEY }
    }
    const value = printFailsafe(view, local.name, apiUrl)
    if (view.failsafe !== undefined && value === printJson(view.failsafe)) return undefined
    state.writtenFailsafe = JSON.parse(value) as Readonly<Record<string, string>>
    return { kind: 'put', key: FAILSAFE_KEY, value }
  }

  #status(facts: ServerFacts): string {
    const { local } = this.#parts
    const own = slotNameOf(local.name)
    const slots: Record<string, Lsn> = { [own]: walPosition(facts) }
    for (const slot of facts.slots) {
      const isKept = this.#state.config.permanentSlots.get(slot.name)?.kind === 'logical'
      const position = slot.isPhysical ? slot.restartLsn : isKept ? slot.confirmedLsn : undefined
      if (position !== undefined && slot.name !== own) slots[slot.name] = position
    }
    return printStatus({ optime: walPosition(facts), slots, retainSlots: this.#retained() })
  }

  /** Permanent slots need nobody's memory. */
  #retained(): readonly string[] {
    const { slots, config } = this.#state
    return [...slots.keys()].filter(name => !config.permanentSlots.has(name))
  }

  async #newHistory(view: ClusterView, facts: ServerFacts): Promise<string | undefined> {
    const { postgres, clock, local } = this.#parts
    if (facts.role !== 'primary') return undefined
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
