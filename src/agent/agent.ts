// The agent as one thing: starts and stops its parts, watches etcd, and answers what the REST server asks.

import type { JsonObject } from '../cluster/json.ts'
import type { Tags } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Dcs, Notice } from '../dcs/dcs.ts'
import type { Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { ServerFacts } from '../postgres/port.ts'
import { demote } from './demote.ts'
import { Fence } from './fence.ts'
import { LeaseKeeper, type Loss } from './lease-keeper.ts'
import { Loop } from './loop.ts'
import type { AgentParts } from './parts.ts'
import { AgentState, memberRole, memberState } from './state.ts'
import { Tasks } from './tasks.ts'

const REFRESH_MS = 1_000
const LAST_WORDS_MS = 2_000
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
  readonly pgherd: JsonObject
}

export class Agent {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #fence: Fence
  readonly #tasks: Tasks
  readonly #loop: Loop
  readonly #stopping = new AbortController()
  #refreshTimer: Timer | undefined

  constructor(parts: AgentParts, config: DynamicConfig) {
    const { clock, log, dcs, postgres, local } = parts
    this.#parts = parts
    this.#state = new AgentState(config)
    this.#tasks = new Tasks(clock, log, (kind, tookMs) => {
      parts.metrics.taskEnded(kind, tookMs)
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
    this.#loop = new Loop(parts, this.#state, this.#keeper, this.#fence, this.#tasks)
  }

  get dcs(): Dcs {
    return this.#parts.dcs
  }

  /** Does the server serve on the strength of our lease? */
  get isFenceArmed(): boolean {
    return this.#fence.isArmed
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Runs until `stop` or until a decision ends the process. Returns the exit code. */
  async run(): Promise<number> {
    const { signal } = this.#stopping
    this.#fence.start()
    this.#keeper.start()
    this.#armRefresh()
    void this.#watch(signal)
    await this.#loop.run(signal)
    this.#refreshTimer?.cancel()
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
    this.#fence.shorten(loss)
    this.#parts.events.record({ kind: 'lease-lost', says: `lost leadership: ${why}` })
    this.#loop.wake()
  }

  #onFenced(says: string): void {
    this.#parts.metrics.fenced()
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

  /** Looks at the server now, for callers that compare positions; gives up at the deadline. */
  async freshStatus(by: Deadline): Promise<AgentFace> {
    await this.#loop.refresh(by)
    return this.status()
  }

  status(): AgentFace {
    const state = this.#state
    const { local, version } = this.#parts
    const leaseLeftMs = this.#keeper.leftMs()
    return {
      takenAtMs: state.serverTakenAtMs,
      name: local.name,
      scope: local.scope,
      state: memberState(state, this.#tasks.running?.kind),
      role: memberRole(state),
      facts: state.server.facts,
      leaseLeftMs,
      isPaused: state.config.isPaused,
      tags: local.tags,
      view: state.view,
      dcsLastSeenWallMs: state.dcsLastSeenWallMs,
      config: state.config,
      nextTurnAtMs: state.nextTurnAtMs,
      isRestartPending: state.isRestartPending,
      pgherd: { version, lease_left_ms: Math.floor(leaseLeftMs) },
    }
  }

  /**
   * A server that writes its last checkpoint for minutes still leads: the lease is renewed until it has stopped. The loop
   * that would show it alive has ended, so the stop itself does.
   */
  async #stopServer(): Promise<void> {
    const context = { parts: this.#parts, state: this.#state, keeper: this.#keeper, fence: this.#fence }
    let pulse: Timer | undefined
    const beat = () => {
      this.#keeper.noteTurn()
      pulse = this.#parts.clock.setTimer(STOP_PULSE_MS, beat)
    }
    beat()
    try {
      await demote(context, { mode: 'graceful', release: true, candidate: undefined })
    } finally {
      pulse?.cancel()
    }
  }

  /** Clean stop: the server first, the key as soon as that is safe, our member key last. */
  async #shutDown(code: number): Promise<void> {
    const { postgres, clock, log } = this.#parts
    await this.#tasks.cancel('the agent is stopping')
    // The last look may be older than a start that was just cancelled: its server comes up by itself.
    await this.#loop.observer.lookAgain()
    if (code === 0 && this.#state.server.process !== 'stopped') {
      log.info('stopping the server')
      await this.#stopServer()
      await this.#loop.observer.lookAtServer()
      await this.#loop.upkeep.touchMember().catch(error => log.warning(messageOf(error)))
    }
    this.#keeper.stop()
    this.#fence.stop()
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
