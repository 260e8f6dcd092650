// The agent as one thing: starts and stops its parts, watches etcd, and answers what the REST server asks.

import type { JsonObject } from '../cluster/json.ts'
import type { Tags } from '../cluster/member.ts'
import { printScheduledRestart } from '../cluster/restart.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Dcs, Notice } from '../dcs/dcs.ts'
import type { Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { ServerFacts } from '../postgres/port.ts'
import { Callbacks } from './callbacks.ts'
import { demote } from './demote.ts'
import { Failsafe, type FailsafeCall } from './failsafe.ts'
import { failsafeBody, failsafeMembers } from './failsafe-key.ts'
import { Fence } from './fence.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { Loss } from './lease-timings.ts'
import { leaveSync } from './leave-sync.ts'
import { Loop } from './loop.ts'
import { cloneFields } from './member-key.ts'
import { Operator } from './operator.ts'
import type { AgentParts } from './parts.ts'
import { AgentState, memberRole, memberState, pendingReasons, troubleOf } from './state.ts'
import { storageFields } from './storage.ts'
import { Tasks } from './tasks.ts'
import { Watchdog } from './watchdog.ts'
import type { WorkContext } from './work.ts'

const REFRESH_MS = 1_000
const LAST_WORDS_MS = 2_000
const LAST_CALLBACK_MS = 500
const STOP_PULSE_MS = 500

/** What the REST server reads; computed at the call, never waits. */
export interface AgentFace {
  readonly takenAtMs: number
  readonly name: string
  readonly scope: string
  readonly state: string
  readonly role: string
  readonly facts: ServerFacts | undefined
  readonly leaseLeftMs: number
  readonly isPaused: boolean
  readonly tags: Tags
  readonly view: ClusterView | undefined
  readonly dcsLastSeenWallMs: number | undefined
  readonly config: DynamicConfig
  readonly nextTurnAtMs: number
  readonly isRestartPending: boolean
  /** A leader that the others' word keeps, or a member that has given its word. */
  readonly isFailsafeActive: boolean
  /** A watchdog is required and does not work. */
  readonly isWatchdogFailed: boolean
  readonly pendingReasons: JsonObject
  readonly scheduledRestart: JsonObject | undefined
  readonly pgherd: JsonObject
}

export class Agent {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #fence: Fence
  readonly #failsafe: Failsafe
  readonly #tasks: Tasks
  readonly #watchdog: Watchdog
  readonly #callbacks: Callbacks
  readonly #loop: Loop
  /** Orders for this one member. */
  readonly operator: Operator
  readonly #stopping = new AbortController()
  #refreshTimer: Timer | undefined

  constructor(parts: AgentParts, config: DynamicConfig) {
    const { clock, log, dcs, postgres, local } = parts
    this.#parts = parts
    this.#state = new AgentState(config)
    this.#tasks = new Tasks(clock, log, (kind, tookMs, isDone) => {
      parts.metrics.taskEnded(kind, tookMs, isDone)
      this.wake()
    })
    this.#keeper = new LeaseKeeper(
      {
        dcs,
        name: local.name,
        clock,
        log,
        onLost: (why, loss) => this.#onLost(why, loss),
        onRenewed: tookMs => parts.metrics.leaseRenewed(tookMs),
        onProven: () => this.#watchdog.proven(),
      },
      {
        ttlMs: config.ttlSeconds * 1000,
        loopWaitMs: config.loopWaitSeconds * 1000,
        retryTimeoutMs: config.retryTimeoutSeconds * 1000,
      },
    )
    this.#fence = new Fence({
      keeper: this.#keeper,
      postgres,
      clock,
      log,
      suspendAwareMs: parts.suspendAwareMs,
      onFenced: says => this.#onFenced(says),
    })
    this.#watchdog = new Watchdog({
      watchdogs: parts.watchdogs,
      config: () => parts.local.watchdog,
      keeper: this.#keeper,
      isFencing: () => this.#fence.isActing,
      clock,
      log,
      onFed: isDone => parts.metrics.watchdogFed(isDone),
    })
    this.#callbacks = new Callbacks({
      scope: local.scope,
      run: parts.runScript,
      clock,
      log,
      scripts: () => parts.settingsFor(this.#state.config).scripts,
      how: () => parts.local.scripts,
      onEnded: (action, result) => parts.metrics.callbackEnded(action, result),
    })
    this.#failsafe = new Failsafe({
      me: local.name,
      keeper: this.#keeper,
      clock,
      log,
      ask: parts.askFailsafe,
      config: () => this.#state.config,
      isServing: () =>
        this.#fence.isArmed && !this.#fence.isActing && this.#state.server.facts?.role === 'primary',
      members: () => failsafeMembers(this.#state),
      body: () => failsafeBody(parts, this.#state),
      onConfirmed: (isAccepted, isFirst) => this.#onFailsafe(isAccepted, isFirst),
    })
    const context = this.#context()
    this.#loop = new Loop({ ...context, tasks: this.#tasks, failsafe: this.#failsafe })
    const { upkeep } = this.#loop
    this.operator = new Operator(
      context,
      this.#tasks,
      () => this.wake(),
      signal => leaveSync(parts, this.#state, upkeep, signal),
    )
  }

  #context(): WorkContext {
    return {
      parts: this.#parts,
      state: this.#state,
      keeper: this.#keeper,
      fence: this.#fence,
      watchdog: this.#watchdog,
      callbacks: this.#callbacks,
    }
  }

  get dcs(): Dcs {
    return this.#parts.dcs
  }

  /** Does a watchdog watch over this machine for us? */
  get isWatched(): boolean {
    return this.#watchdog.state.isArmed
  }

  /** Does the server serve on the strength of our lease? */
  get isFenceArmed(): boolean {
    return this.#fence.isArmed
  }

  /** How long the server has not answered new connections. */
  get unansweredMs(): number {
    return this.#state.server.unansweredMs ?? 0
  }

  /** The cluster's logical slots as they stand on this member. */
  get logicalSlots(): ReadonlyMap<string, string> {
    return this.#state.logicalSlots
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Runs until `stop` or until a decision ends the process. Returns the exit code. */
  async run(): Promise<number> {
    const { signal } = this.#stopping
    this.#fence.start()
    this.#keeper.start()
    this.#failsafe.start()
    this.#armRefresh()
    void this.#watch(signal)
    await this.#loop.run(signal)
    this.#refreshTimer?.cancel()
    this.operator.stop()
    const code = this.#state.exitCode ?? 0
    await this.#shutDown(code)
    return code
  }

  /** Asks for an orderly end: the server is stopped, the leader key given away, then `run` returns. */
  stop(): void {
    this.#stopping.abort(new Error('stopping'))
    this.#loop.wake()
  }

  #onLost(why: string, loss: Loss): void {
    // While everybody has promised not to lead, a lease that ended takes nothing away: there is time to take the key again.
    const isPromised = loss !== 'overtaken' && this.#failsafe.isLeading
    if (!isPromised) this.#fence.shorten(loss)
    this.#parts.events.record({ kind: 'lease-lost', says: `lost leadership: ${why}` })
    this.#loop.wake()
  }

  #onFailsafe(isAccepted: boolean, isFirst: boolean): void {
    this.#parts.metrics.failsafeAsked(isAccepted)
    if (!isAccepted || !isFirst) return
    const says = 'continue to run as a leader because failsafe mode is enabled and all members are accessible'
    this.#parts.events.record({ kind: 'failsafe', says })
  }

  /**
   * A leader that has lost etcd asks us to accept it. `off`: failsafe mode is. `refused`: we lead ourselves, are about to, or
   * know of another leader.
   */
  acceptFailsafe(call: FailsafeCall): 'accepted' | 'refused' | 'off' {
    const { config, server, view, isTaking } = this.#state
    if (!config.isFailsafeMode) return 'off'
    const isOurs = server.facts?.role === 'primary' || this.#keeper.hold !== undefined || isTaking
    const isOthers = view?.leader !== undefined && view.leader.name !== call.name
    if (isOurs || isOthers || call.name === this.#parts.local.name) return 'refused'
    // Only members may ask for more time than our own ttl.
    const isMember = view?.members.has(call.name) === true || view?.failsafe?.[call.name] !== undefined
    this.#failsafe.accept(isMember ? call : { ...call, ttlMs: undefined })
    return 'accepted'
  }

  #onFenced(says: string): void {
    this.#parts.metrics.fenced()
    void this.#watchdog.standDown()
    this.#callbacks.stopped('demoted')
    this.#parts.events.record({ kind: 'fenced', says })
    this.#loop.wake()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    try {
      for await (const notice of this.#parts.dcs.watch({ streams: 2, signal })) {
        if (wakes(notice)) this.#loop.wake()
      }
    } catch (error) {
      this.#parts.log.error(`watch ended: ${messageOf(error)}`)
    }
  }

  /** Facts for the REST server at a steady pace. */
  #armRefresh(): void {
    this.#refreshTimer = this.#parts.clock.setTimer(REFRESH_MS / 4, () => {
      this.#armRefresh()
      const ageMs = this.#parts.clock.monotonicMs() - this.#state.serverTakenAtMs
      if (ageMs > REFRESH_MS) void this.#loop.observer.lookAtServer()
    })
  }

  /** The node's file was read again: the server gets its settings again, too. */
  reloaded(): void {
    this.#state.appliedSettings = undefined
    this.#state.isReloadOrdered = true
    this.#loop.wake()
  }

  /** Looks at the server now, for callers that compare positions; gives up at the deadline. */
  async freshStatus(by: Deadline): Promise<AgentFace> {
    await this.#loop.refresh(by)
    return this.status()
  }

  status(): AgentFace {
    const state = this.#state
    const { local, version } = this.#parts
    const clone = this.#parts.postgres.cloneProgress?.()
    const leaseLeftMs = this.#leadershipLeftMs()
    const ageMs = this.#parts.clock.monotonicMs() - state.serverTakenAtMs
    return {
      takenAtMs: state.serverTakenAtMs,
      name: local.name,
      scope: local.scope,
      state: memberState(state, this.#tasks.running?.kind),
      role: memberRole(state, this.#keeper.hold !== undefined),
      facts: state.server.facts,
      leaseLeftMs,
      isPaused: state.config.isPaused,
      tags: local.tags,
      view: state.view,
      dcsLastSeenWallMs: state.dcsLastSeenWallMs,
      config: state.config,
      nextTurnAtMs: state.nextTurnAtMs,
      isRestartPending: state.server.facts?.isRestartPending ?? false,
      isFailsafeActive: this.#failsafe.isLeading || this.#failsafe.promisedTo !== undefined,
      isWatchdogFailed: !this.#watchdog.state.isHealthy,
      pendingReasons: pendingReasons(state),
      scheduledRestart:
        state.scheduledRestart === undefined
          ? undefined
          : printScheduledRestart(state.scheduledRestart, false),
      pgherd: {
        version,
        lease_left_ms: Math.floor(leaseLeftMs),
        age_ms: Number.isFinite(ageMs) ? Math.max(0, Math.round(ageMs)) : null,
        ...this.#loop.lastWords,
        ...troubleOf(state),
        ...(clone === undefined ? {} : { clone: cloneFields(clone) }),
        ...(this.unansweredMs > 0 ? { unanswered_ms: Math.round(this.unansweredMs) } : {}),
        ...storageFields(state.server.storage),
        ...(state.logicalSlots.size === 0 ? {} : { logical_slots: Object.fromEntries(state.logicalSlots) }),
        ...(state.usedConfigRevision === undefined ? {} : { config_revision: state.usedConfigRevision }),
      },
    }
  }

  /**
   * A server that writes its last checkpoint for minutes still leads: the lease is renewed until it has stopped. The loop
   * that would show it alive has ended, so the stop itself does.
   */
  async #stopServer(): Promise<void> {
    let pulse: Timer | undefined
    const beat = () => {
      this.#keeper.noteTurn()
      pulse = this.#parts.clock.setTimer(STOP_PULSE_MS, beat)
    }
    beat()
    try {
      await leaveSync(this.#parts, this.#state, this.#loop.upkeep)
      this.#parts.log.info('stopping the server')
      await demote(this.#context(), { mode: 'graceful', release: true, heirs: undefined })
    } finally {
      pulse?.cancel()
    }
  }

  /** The others' word outlives the lease: until it ends nobody else leads, and there is time to take the key again. */
  #promisedMs(): number {
    const isPrimary = this.#state.server.facts?.role === 'primary'
    if (!isPrimary || !this.#failsafe.isLeading || this.#fence.isActing) return 0
    return Math.max(0, this.#keeper.extendedUntilMs - this.#parts.clock.monotonicMs())
  }

  /**
   * By our own strict clock. A paused leader that has lost etcd goes on, for nobody else is made leader without an operator:
   * proxies may keep its sessions as long as it says so and no newer leader is known.
   */
  #leadershipLeftMs(): number {
    const { config, view, lastView, server } = this.#state
    const leftMs = Math.max(this.#keeper.leftMs(), this.#promisedMs())
    const isKept =
      config.isPaused &&
      view === undefined &&
      lastView?.leader?.name === this.#parts.local.name &&
      server.facts?.role === 'primary'
    return isKept ? Math.max(leftMs, (config.ttlSeconds * 1000) / 2) : leftMs
  }

  /** Clean stop: the server first, the key as soon as that is safe, our member key last. */
  async #shutDown(code: number): Promise<void> {
    const { postgres, clock, log } = this.#parts
    await this.#tasks.cancel('the agent is stopping')
    // The last look may be older than a start that was just cancelled: its server comes up by itself.
    await this.#loop.observer.lookAgain()
    const isRunning = this.#state.server.process !== 'stopped'
    const isLeftAlone = this.#state.config.isPaused
    if (isLeftAlone && isRunning)
      log.info('the cluster is paused: the server and the leader key are left alone')
    if (code === 0 && isRunning && !isLeftAlone) {
      await this.#stopServer()
      await this.#loop.observer.lookAtServer()
      await this.#loop.upkeep.touchMember().catch(error => log.warning(messageOf(error)))
    }
    this.#keeper.stop()
    this.#failsafe.stop()
    this.#fence.stop()
    // A device that is closed without a word resets the machine: right for a server that could not be stopped, and only there.
    await this.#watchdog.settled()
    // The one that it replaces has to be gone first.
    await this.#callbacks.begun(LAST_CALLBACK_MS)
    await Deadline.in(clock, LAST_WORDS_MS)
      .run('closing', () => postgres.close())
      .catch(error => log.warning(messageOf(error)))
  }
}

const wakingKeys = ['leader', 'failover', 'config', 'initialize', 'sync']

function wakes(notice: Notice): boolean {
  if (notice.kind === 'stale') return true
  return notice.events.some(event => wakingKeys.includes(event.kind === 'put' ? event.kv.key : event.key))
}
