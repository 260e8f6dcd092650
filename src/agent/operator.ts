// What an operator orders of this one member: restart now or later, a fresh copy of the leader. Judges whether the order
// can be carried out, runs it as the member's one long task, and tells the outcome in the words that scripts know.

import { type RestartConditions, type ScheduledRestart, unmetCondition } from '../cluster/restart.ts'
import type { Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { type RestartOutcome, restartServer } from './restart.ts'
import { leaderUpstream } from './rules/say.ts'
import { historyMark } from './rules/source.ts'
import { memberRole } from './state.ts'
import { noUpdate, type Tasks } from './tasks.ts'
import type { WorkContext } from './work.ts'

/** How an order ended; `says` goes to the caller as it is. */
export interface OrderOutcome {
  readonly isDone: boolean
  readonly says: string
}

const STOP_MS = 10_000
const DISCARD_MS = 3_600_000
const ASK_LEADER_MS = 2_000
/** A schedule is looked at this often, so that a moved wall clock is noticed. */
const SCHEDULE_CHECK_MAX_MS = 1_000
/** In loop waits: later than this is too late, the operator may have gone to bed. */
const LATE_FACTOR = 1.5

const RESTART_SAYS: Readonly<Record<RestartOutcome, string>> = {
  restarted: 'restarted successfully',
  'still-starting': 'postgres is still starting',
  failed: 'restart failed',
}

/** What a failed copy leaves to the loop. */
interface Undone {
  isOursToStart?: boolean
  isToBeCopied?: boolean
}

export class Operator {
  readonly #context: WorkContext
  readonly #tasks: Tasks
  readonly #wake: () => void
  readonly #leaveSync: (signal: AbortSignal) => Promise<void>
  #timer: Timer | undefined

  /** `leaveSync` returns when no commit waits for this member any more, or after its own time. */
  constructor(
    context: WorkContext,
    tasks: Tasks,
    wake: () => void,
    leaveSync: (signal: AbortSignal) => Promise<void>,
  ) {
    this.#context = context
    this.#tasks = tasks
    this.#wake = wake
    this.#leaveSync = leaveSync
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Restarts the server now and waits for the outcome. */
  async restart(conditions: RestartConditions): Promise<OrderOutcome> {
    const { parts, state } = this.#context
    const unmet = unmetCondition(conditions, {
      role: memberRole(state, this.#context.keeper.hold !== undefined),
      serverVersion: state.server.facts?.serverVersion,
      isRestartPending: state.server.facts?.isRestartPending ?? false,
    })
    if (unmet !== undefined) {
      parts.log.info(`not proceeding with the restart: ${unmet}`)
      return refused('restart conditions are not satisfied')
    }
    const timeoutMs = (conditions.timeoutSeconds ?? state.config.primaryStartTimeoutSeconds) * 1000
    return this.#runRestart(timeoutMs)
  }

  async #runRestart(timeoutMs: number): Promise<OrderOutcome> {
    const { state } = this.#context
    const { promise, resolve } = Promise.withResolvers<RestartOutcome>()
    const isStarted = this.#tasks.start({
      kind: 'restart',
      says: 'restart',
      work: async signal => {
        try {
          const { outcome, update } = await this.#unwaitedFor(signal, () =>
            restartServer(this.#context, timeoutMs, signal),
          )
          resolve(outcome)
          return update
        } catch (error) {
          resolve('failed')
          throw error
        }
      },
      onFailure: noUpdate,
    })
    if (!isStarted) return refused(`${this.#taskName()} already in progress`)
    state.scheduledRestart = undefined
    this.#wake()
    const outcome = await promise
    return { isDone: outcome === 'restarted', says: RESTART_SAYS[outcome] }
  }

  /** A synchronous standby leaves the others first: the leader's commits would wait for it until it is seen gone. */
  async #unwaitedFor<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      await this.#leaveSync(signal)
      signal.throwIfAborted()
      return await work()
    } finally {
      this.#context.state.isLeavingSync = false
    }
  }

  /** Keeps a restart for its time. False when one is scheduled already. */
  schedule(conditions: RestartConditions, at: string, atWallMs: number): boolean {
    const { state } = this.#context
    if (state.scheduledRestart !== undefined) return false
    const postmasterStartTime = state.server.facts?.postmasterStartTime
    state.scheduledRestart = { conditions, at, atWallMs, postmasterStartTime }
    this.#arm(state.scheduledRestart)
    this.#wake()
    return true
  }

  /** Drops a scheduled restart. False when there was none. */
  dropSchedule(): boolean {
    const { state } = this.#context
    if (state.scheduledRestart === undefined) return false
    state.scheduledRestart = undefined
    this.#timer?.cancel()
    this.#wake()
    return true
  }

  #arm(scheduled: ScheduledRestart): void {
    const { clock } = this.#context.parts
    this.#timer?.cancel()
    const waitMs = Math.min(Math.max(scheduled.atWallMs - clock.wallMs(), 0), SCHEDULE_CHECK_MAX_MS)
    this.#timer = clock.setTimer(waitMs, () => this.#checkSchedule(scheduled))
  }

  #checkSchedule(scheduled: ScheduledRestart): void {
    const { parts, state } = this.#context
    if (state.scheduledRestart !== scheduled) return
    const why = this.#whyVoid(scheduled)
    const isEarly = parts.clock.wallMs() < scheduled.atWallMs
    if (why !== undefined) this.#cancelSchedule(why)
    else if (isEarly || this.#tasks.running !== undefined || state.config.isPaused) this.#arm(scheduled)
    else this.#runSchedule(scheduled)
  }

  #whyVoid(scheduled: ScheduledRestart): string | undefined {
    const { parts, state } = this.#context
    const startedAt = state.server.facts?.postmasterStartTime
    const { postmasterStartTime, atWallMs } = scheduled
    const areKnown = startedAt !== undefined && postmasterStartTime !== undefined
    if (areKnown && startedAt !== postmasterStartTime) {
      return `postgres restart has already happened at ${startedAt}`
    }
    const graceMs = state.config.loopWaitSeconds * 1000 * LATE_FACTOR + SCHEDULE_CHECK_MAX_MS
    return parts.clock.wallMs() - atWallMs > graceMs ? 'its time has passed' : undefined
  }

  #runSchedule({ conditions }: ScheduledRestart): void {
    const { parts, state } = this.#context
    state.scheduledRestart = undefined
    this.restart(conditions).then(
      ({ says }) => parts.log.info(`scheduled restart: ${says}`),
      (error: unknown) => parts.log.error(`scheduled restart: ${messageOf(error)}`),
    )
  }

  #cancelSchedule(why: string): void {
    const { parts, state } = this.#context
    state.scheduledRestart = undefined
    parts.log.info(`Cancelling scheduled restart: ${why}`)
    this.#wake()
  }

  /**
   * Throws this member's data away and copies the leader. Begins only when the leader answers as a primary; undefined when
   * it began, else the refusal. `isForced` ends a long action that is under way.
   */
  async reinitialize(isForced: boolean): Promise<string | undefined> {
    const { parts, state, keeper } = this.#context
    const view = state.view
    if (view === undefined || view.leader === undefined) return 'Cluster has no leader, can not reinitialize'
    if (view.leader.name === parts.local.name || keeper.hold !== undefined) {
      return 'I am the leader, can not reinitialize'
    }
    const refusal = await this.#askLeader(view.leader.name, view.members.get(view.leader.name)?.apiUrl)
    if (refusal !== undefined) return refusal
    if (isForced) await this.#tasks.cancel('reinitialize was ordered')
    const undone: Undone = {}
    const isStarted = this.#tasks.start({
      kind: 'reinitialize',
      says: 'reinitialize',
      work: async signal => {
        const epoch = state.view?.leader?.createRevision
        const mark = epoch === undefined ? undefined : historyMark(state.config, epoch)
        await this.#unwaitedFor(signal, () => this.#copyAfresh(undone, signal))
        const done = {
          role: 'replica',
          cleanAgainst: mark,
          isOursToStart: true,
          isToBeCopied: false,
        } as const
        return memory => ({ ...memory, ...done })
      },
      // What the order began goes on, in a pause too: nobody else would know why there is no server.
      onFailure: memory => ({ ...memory, ...undone }),
    })
    if (!isStarted) return `${this.#taskName()} already in progress`
    this.#wake()
    return undefined
  }

  /** Before anything is thrown away there must be something to copy. */
  async #askLeader(name: string, apiUrl: string | undefined): Promise<string | undefined> {
    const { parts } = this.#context
    const urls = new Map(apiUrl === undefined ? [] : [[name, apiUrl]])
    const answers = await parts.askPeers(urls, Deadline.in(parts.clock, ASK_LEADER_MS))
    const { standbyCluster } = this.#context.state.config
    const isThere = answers.some(
      answer => answer.isReachable && (answer.isPrimary || standbyCluster !== undefined),
    )
    return isThere ? undefined : `The leader ${name} does not answer as a primary, can not reinitialize`
  }

  /** `undone` says what is left to do if it fails. */
  async #copyAfresh(undone: Undone, signal: AbortSignal): Promise<void> {
    const { parts, state, keeper, fence, callbacks } = this.#context
    const { postgres, clock, local } = parts
    const wasStopped = state.server.process === 'stopped'
    const upstream = state.view === undefined ? undefined : leaderUpstream(state.view)
    if (upstream === undefined || upstream.member === local.name || keeper.hold !== undefined) {
      throw new HaError('E_NO_LEADER', 'there is no other leader to copy any more')
    }
    state.isStopExpected = true
    const stop = { mode: 'immediate', checkpointFirst: false, by: Deadline.in(clock, STOP_MS) } as const
    const { stopped } = await postgres.stop(stop)
    if (!stopped) throw new HaError('E_STOP', 'the server could not be stopped')
    if (!wasStopped) undone.isOursToStart = true
    fence.disarm()
    if (!wasStopped) callbacks.stopped()
    parts.events.record({
      kind: 'reinitialize',
      says: `reinitialize: this member's data is thrown away and copied from (${upstream.member})`,
    })
    // Half of the data must not be started.
    undone.isOursToStart = false
    undone.isToBeCopied = true
    await postgres.discard(Deadline.in(clock, DISCARD_MS))
    await postgres.clone(upstream, signal)
  }

  #taskName(): string {
    return this.#tasks.running?.says ?? 'another action'
  }
}

function refused(says: string): OrderOutcome {
  return { isDone: false, says }
}
