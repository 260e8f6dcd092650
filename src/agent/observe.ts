// Builds the snapshot that a decision goes by. Asks etcd and the server, each within its own time; judges nothing.

import { type ClusterView, epochOf } from '../cluster/view.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { ServerStatus, Upstream } from '../postgres/port.ts'
import type { Answers } from './act.ts'
import type { Callbacks } from './callbacks.ts'
import type { Failsafe } from './failsafe.ts'
import type { Fence } from './fence.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { AgentParts } from './parts.ts'
import { isDeaf, leaderUpstream } from './rules/say.ts'
import { namedUpstream, remoteUpstream } from './rules/source.ts'
import type { Self, Snapshot } from './snapshot.ts'
import { type AgentState, memberRole } from './state.ts'
import { noteStorage } from './storage.ts'
import type { Tasks } from './tasks.ts'
import type { Watchdog } from './watchdog.ts'

const STATUS_TIMEOUT_MIN_MS = 1_000
const STATUS_TIMEOUT_MAX_MS = 2_500
/** A turn must begin in time also when the storage hangs: the member's own lease is renewed by it. */
const CONTROL_TIMEOUT_MS = 2_000

/** What the parts of the loop share. */
export interface LoopContext {
  readonly parts: AgentParts
  readonly state: AgentState
  readonly keeper: LeaseKeeper
  readonly fence: Fence
  readonly tasks: Tasks
  readonly failsafe: Failsafe
  readonly watchdog: Watchdog
  readonly callbacks: Callbacks
}

export class Observer {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #fence: Fence
  readonly #tasks: Tasks
  readonly #failsafe: Failsafe
  readonly #watchdog: Watchdog
  readonly #callbacks: Callbacks
  readonly #startedAtMs: number
  readonly #onSendersChanged: () => void
  #look: Promise<void> | undefined

  /** `onSendersChanged` is called by a look that sees other streaming standbys than the one before. */
  constructor(context: LoopContext, onSendersChanged: () => void) {
    this.#parts = context.parts
    this.#state = context.state
    this.#keeper = context.keeper
    this.#fence = context.fence
    this.#tasks = context.tasks
    this.#failsafe = context.failsafe
    this.#watchdog = context.watchdog
    this.#callbacks = context.callbacks
    this.#startedAtMs = context.parts.clock.monotonicMs()
    this.#onSendersChanged = onSendersChanged
  }

  /** Reads the scope; on failure the view is undefined and the last one is kept aside. */
  async readView(): Promise<void> {
    const { dcs, clock, log } = this.#parts
    const state = this.#state
    try {
      const asked = this.#keeper.ask()
      const view = await dcs.read(Deadline.in(clock, state.config.retryTimeoutSeconds * 1000))
      this.#keeper.verify(view.leader, view.position, asked)
      state.view = view
      state.lastView = view
      state.dcsLastSeenWallMs = clock.wallMs()
      this.#noteLeader(view)
      const wasPaused = state.config.isPaused
      this.#takeConfig(view)
      if (wasPaused && !state.config.isPaused) await this.#learnSystemIdAnew()
    } catch (error) {
      if (state.view !== undefined) log.error(`etcd does not answer: ${messageOf(error)}`)
      state.view = undefined
    }
  }

  #noteLeader(view: ClusterView): void {
    const state = this.#state
    // Who leads by the lease, ourselves or another, needs no promise any more.
    if (view.leader !== undefined && this.#failsafe.promisedTo?.name !== view.leader.name)
      this.#failsafe.forget()
    if (view.leader !== undefined) {
      const urls = new Map<string, string>()
      for (const member of view.members.values()) {
        if (member.apiUrl !== undefined) urls.set(member.name, member.apiUrl)
      }
      state.memory = {
        ...state.memory,
        electorate: urls,
        lastLeader: view.leader.name,
        putOff: undefined,
        stoppedReceivingAtMs: undefined,
        restingLeader: undefined,
      }
      if (state.keyGoneAtMs !== undefined && view.leader.name !== this.#parts.local.name)
        state.phases = undefined
      state.keyGoneAtMs = undefined
    } else {
      state.keyGoneAtMs ??= this.#parts.clock.monotonicMs()
    }
  }

  /** The configuration in force follows the `config` key; each new complaint about it is logged once. */
  #takeConfig(view: ClusterView): void {
    const state = this.#state
    const everyoneIsPgherd = [...view.members.values()].every(member => member.pgherd !== undefined)
    const raw = view.config?.value ?? state.config.raw
    const config = this.#parts.readDynamic(raw, everyoneIsPgherd)
    for (const warning of config.warnings) {
      if (!state.config.warnings.includes(warning)) this.#parts.log.warning(warning)
    }
    state.config = config
    this.#parts.dcs.setRetryTimeout?.(config.retryTimeoutSeconds * 1000)
    this.#keeper.setTimings({
      ttlMs: config.ttlSeconds * 1000,
      loopWaitMs: config.loopWaitSeconds * 1000,
      retryTimeoutMs: config.retryTimeoutSeconds * 1000,
    })
  }

  /** Looks at the server; looks that come at the same time share one. Never throws. */
  lookAtServer(): Promise<void> {
    this.#look ??= this.#lookOnce().finally(() => {
      this.#look = undefined
    })
    return this.#look
  }

  /** A look that begins now: one that is under way may have begun before a task ended. */
  async lookAgain(): Promise<void> {
    await this.#look
    await this.lookAtServer()
  }

  async #lookOnce(): Promise<void> {
    const { postgres, clock } = this.#parts
    const state = this.#state
    const takenAtMs = clock.monotonicMs()
    const taskBefore = this.#tasks.running
    const { endedCount } = this.#tasks
    // A server that hangs must not make the loop look hung: the lease is renewed only while turns begin in time.
    const patienceMs = Math.max(state.config.retryTimeoutSeconds * 1000, STATUS_TIMEOUT_MIN_MS)
    const by = Deadline.in(clock, Math.min(patienceMs, STATUS_TIMEOUT_MAX_MS))
    const server = await postgres.status(by, state.config.hungAfterSeconds * 1000)
    this.#noteDeaf(server)
    noteStorage(state, server, this.#parts.events)
    const isSilent = server.facts === undefined && this.#keeper.hold !== undefined
    state.silentSinceMs = isSilent ? (state.silentSinceMs ?? takenAtMs) : undefined
    const wasUp = state.server.process === 'running'
    this.#noteSenders(state.server, server)
    state.server = await this.#withControlState(server)
    state.serverTakenAtMs = takenAtMs
    const task = this.#tasks.running?.kind
    if (server.process === 'running') {
      state.isCrashed = false
      if (task === undefined) state.isStopExpected = this.#fence.isActing
    } else if (wasUp && server.process === 'stopped' && !state.isStopExpected && !this.#fence.isActing) {
      this.#noteCrash()
    }
    await this.#learnSystemId()
    await this.#armOrDisarm(task)
    // What a look saw while a task worked on the server is not told: the task's end brings a look of its own.
    const isUndisturbed = taskBefore === undefined && this.#tasks.endedCount === endedCount
    if (isUndisturbed && this.#tasks.running === undefined) this.#tellCallbacks(server)
  }

  /** A server that runs and does not tell its role, without our lease: its control file says whether it was a primary. */
  async #withControlState(server: ServerStatus): Promise<ServerStatus> {
    if (server.process !== 'running' || server.facts !== undefined || this.#keeper.hold !== undefined)
      return server
    const { postgres, clock } = this.#parts
    const control = await postgres.controlData(Deadline.in(clock, CONTROL_TIMEOUT_MS))
    return { ...server, controlState: control?.state, controlTimeline: control?.timeline }
  }

  /** A standby that came or went may change who confirms commits: the leader looks into it at once. */
  #noteSenders(before: ServerStatus, now: ServerStatus): void {
    const state = this.#state
    state.seenSynchronousNames = now.facts?.synchronous?.names ?? state.seenSynchronousNames
    if (state.config.synchronousMode === 'off' || this.#keeper.hold === undefined) return
    if (streamingNames(before) !== streamingNames(now)) this.#onSendersChanged()
  }

  /** Once when it begins and once when it ends, whether or not anybody can take over. */
  #noteDeaf(server: ServerStatus): void {
    const state = this.#state
    const wasDeaf = isDeaf(state)
    const seconds = Math.round((server.unansweredMs ?? 0) / 1000)
    if (!wasDeaf && isDeaf({ server, config: state.config })) {
      const says = `the server hangs: it has answered no new connection for ${seconds} s`
      this.#parts.events.record({ kind: 'server-hangs', says })
    } else if (wasDeaf && server.unansweredMs === 0 && server.process === 'running')
      this.#parts.events.record({ kind: 'server-answers', says: 'the server answers new connections again' })
  }

  #noteCrash(): void {
    this.#state.isCrashed = true
    this.#parts.events.record({
      kind: 'server-crashed',
      says: 'the server is gone without having been stopped',
    })
  }

  async #learnSystemId(): Promise<void> {
    const { postgres, clock } = this.#parts
    const state = this.#state
    if (state.server.dataDirectory === 'empty') state.systemId = undefined
    else if (state.server.facts !== undefined) state.systemId = state.server.facts.systemId
    else if (state.systemId === undefined && this.#tasks.running === undefined) {
      state.systemId = (await postgres.controlData(Deadline.in(clock, CONTROL_TIMEOUT_MS)))?.systemId
    }
  }

  /** While the cluster was paused somebody may have put other data in the place of a server that is down. */
  async #learnSystemIdAnew(): Promise<void> {
    if (this.#state.server.process !== 'stopped' || this.#tasks.running !== undefined) return
    this.#state.systemId = undefined
    await this.#learnSystemId()
  }

  /** A standby that has the key is about to be promoted: scripts hear of that, not of a replica first, whatever it was before. */
  #tellCallbacks(server: ServerStatus): void {
    if (server.process !== 'running' || server.facts === undefined) return
    const hasKey = this.#keeper.hold !== undefined
    const role = memberRole(this.#state, hasKey)
    if (hasKey && role === 'replica') return
    this.#callbacks.running(role)
  }

  /** A primary on the strength of our lease is under the fence; a standby or a stopped server needs none. */
  async #armOrDisarm(task: string | undefined): Promise<void> {
    const { server, config } = this.#state
    // While paused nobody else is made leader by himself: a primary stays one, whatever becomes of the lease.
    if (config.isPaused && task === undefined) {
      if (!this.#fence.isActing) this.#fence.disarm()
      void this.#watchdog.standDown()
      return
    }
    if (server.facts?.role === 'primary' && this.#keeper.hold !== undefined) this.#fence.arm()
    const isHarmless = server.facts?.role === 'replica' || server.process === 'stopped'
    if (!isHarmless || task !== undefined || this.#fence.isActing) return
    this.#fence.disarm()
    if (this.#keeper.hold === undefined && this.#watchdog.state.isArmed) await this.#endWatch(server)
  }

  /**
   * Without the key nothing brings a primary up; but a backend of one that is gone could still acknowledge something. The look
   * waits for this: a server that the turn starts next must not be taken for what is left of the old one.
   */
  async #endWatch({ process }: ServerStatus): Promise<void> {
    const { postgres, log } = this.#parts
    try {
      if (process === 'stopped' && (await postgres.killFamily()) > 0) return
      // The device is let go beside the loop: it may hang.
      if (this.#keeper.hold === undefined) void this.#watchdog.standDown()
    } catch (error) {
      log.warning(`cannot look for the server's processes: ${messageOf(error)}`)
    }
  }

  /** The snapshot of this instant, with what the turn has learnt so far. */
  snapshot(answers: Answers): Snapshot {
    const { clock, postgres } = this.#parts
    const state = this.#state
    const { view } = state
    const { name, tags } = this.#parts.local
    const follows = (upstream: Upstream | undefined) =>
      upstream !== undefined && postgres.isFollowing(upstream)
    return {
      nowMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
      self: this.#self(),
      config: state.config,
      view: state.view,
      ageMs: clock.monotonicMs() - this.#startedAtMs,
      failsafe: { isLeading: this.#failsafe.isLeading, promisedTo: this.#failsafe.promisedTo?.name },
      leaderlessMs: state.keyGoneAtMs === undefined ? 0 : clock.monotonicMs() - state.keyGoneAtMs,
      server: state.server,
      silentMs: state.silentSinceMs === undefined ? 0 : clock.monotonicMs() - state.silentSinceMs,
      systemId: state.systemId,
      synchronousNames: state.synchronousNames,
      isFollowingNobody: postgres.isFollowing(undefined),
      isFollowingLeader: view !== undefined && follows(leaderUpstream(view)),
      isFollowingNamed: view !== undefined && follows(namedUpstream(view, name, tags)),
      isFollowingRemote: follows(remoteUpstream(state.config)),
      task: this.#tasks.running,
      lease: {
        hold: this.#keeper.hold,
        leftMs: this.#keeper.leftMs(),
        leaseId: this.#keeper.leaseId,
        isFencing: this.#fence.isActing,
      },
      watchdog: this.#watchdog.state,
      peers: answers.peers,
      divergence: answers.divergence,
      canRewind: answers.canRewind,
      walOnLeader: answers.walOnLeader,
      acquired: answers.acquired,
    }
  }

  #self(): Self {
    const { local, settingsFor } = this.#parts
    const settings = settingsFor(this.#state.config)
    return {
      name: local.name,
      scope: local.scope,
      address: local.postgres.connectAddress,
      tags: local.tags,
      canBootstrap: Object.keys(local.bootstrap.dcs).length > 0,
      canCloneAlone: settings.replicaMethods?.some(({ noLeader }) => noLeader) ?? false,
      usePgRewind: settings.usePgRewind,
      removeOnRewindFailure: settings.removeDataDirectoryOnRewindFailure,
      removeOnDivergence: settings.removeDataDirectoryOnDivergedTimelines,
      synchronousCommit: (settings.byRole?.primary ?? settings).parameters['synchronous_commit'] ?? 'on',
    }
  }

  /** The current epoch, for events. */
  epoch() {
    return this.#state.view === undefined ? undefined : epochOf(this.#state.view)
  }
}

function streamingNames({ facts }: ServerStatus): string {
  const names = facts?.senders
    .filter(({ state }) => state === 'streaming')
    .map(sender => sender.applicationName)
  return (names ?? []).sort().join(',')
}
