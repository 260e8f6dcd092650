// The long actions as plans for the task runner: what each does, and what its success or failure teaches.

import type { ClusterView } from '../cluster/view.ts'
import { Deadline, DeadlineError } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { Upstream } from '../postgres/port.ts'
import { bootstrapCluster } from './bootstrap.ts'
import type { Callbacks } from './callbacks.ts'
import type { Action, PromotionWrite } from './decision.ts'
import { demote } from './demote.ts'
import { demoteCluster } from './demote-cluster.ts'
import type { Fence } from './fence.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { prePromote } from './own-scripts.ts'
import type { AgentParts } from './parts.ts'
import { historyMark } from './rules/source.ts'
import { takeSettings } from './server-settings.ts'
import type { Memory } from './snapshot.ts'
import type { AgentState } from './state.ts'
import { stopQuickly } from './stop-quickly.ts'
import { beginSynchronous, namesForStart, setSynchronousNames } from './synchronous.ts'
import { type MemoryUpdate, noUpdate, type TaskPlan } from './tasks.ts'
import { untilPromoted } from './until-promoted.ts'
import { armWatchdog, type Watchdog } from './watchdog.ts'

/** A standby that takes longer goes on by itself, and the loop looks after it again. */
const STANDBY_START_MS = 10_000
const CHECKPOINT_TIMEOUT_MS = 600_000
const RELEASE_TIMEOUT_MS = 10_000
const SET_ASIDE_TIMEOUT_MS = 60_000

type Long = Extract<
  Action,
  { kind: 'bootstrap' | 'clone' | 'start' | 'promote' | 'demote' | 'demote-cluster' | 'rewind' | 'set-aside' }
>

/** Everything that a long action needs. */
export interface WorkContext {
  readonly parts: AgentParts
  readonly state: AgentState
  readonly keeper: LeaseKeeper
  readonly fence: Fence
  readonly watchdog: Watchdog
  readonly callbacks: Callbacks
}

export class Work {
  readonly #context: WorkContext

  constructor(context: WorkContext) {
    this.#context = context
  }

  plan(action: Long): TaskPlan {
    const { parts } = this.#context
    switch (action.kind) {
      case 'bootstrap':
        return task(
          'bootstrap',
          'bootstrapping a new cluster',
          signal => bootstrapCluster(this.#context, signal),
          noUpdate,
        )
      case 'clone':
        return task(
          'clone',
          this.#cloneName(action.from),
          async signal => {
            // Of the leader that is copied: the next one may come while the copy runs, and part before its end.
            const epoch = this.#epoch()
            await parts.postgres.clone(action.from, signal)
            return memory => ({
              ...memory,
              role: 'replica',
              cleanAgainst: epoch,
              failedStarts: 0,
              isOursToStart: memory.isOursToStart || memory.isToBeCopied === true,
              isToBeCopied: false,
            })
          },
          this.#failedStart,
        )
      case 'start':
        return task(
          'start',
          `starting as ${action.as}`,
          signal => this.#start(action, signal),
          this.#failedStart,
        )
      case 'promote':
        return task('promote', 'promote', signal => this.#promote(action.sync, signal), noUpdate)
      case 'demote':
        return task('demote', `demoting (${action.demotion.mode})`, () =>
          demote(this.#context, action.demotion),
        )
      case 'demote-cluster':
        return task('demote', 'demoting the cluster', signal => demoteCluster(this.#context, signal))
      case 'rewind':
        return task('rewind', `running pg_rewind from ${action.leader.member}`, signal =>
          this.#rewind(action.leader, signal),
        )
      case 'set-aside':
        return task('clone', 'setting the data directory aside', () => this.#setAside(), this.#failedStart)
    }
  }

  readonly #failedStart: MemoryUpdate = memory =>
    countFailedStart(memory, this.#context.parts.clock.monotonicMs())

  async #setAside(): Promise<MemoryUpdate> {
    const { parts } = this.#context
    await stopQuickly(this.#context)
    const where = await parts.postgres.setAside(Deadline.in(parts.clock, SET_ASIDE_TIMEOUT_MS))
    parts.events.record({ kind: 'set-aside', says: `data directory moved to ${where}` })
    return noUpdate
  }

  #cloneName(from: Upstream | undefined): string {
    if (from === undefined) return 'bootstrap without leader'
    const isLeader = from.member === this.#context.state.view?.leader?.name
    return `bootstrap from ${isLeader ? 'leader' : 'replica'} '${from.member}'`
  }

  #epoch(): bigint | undefined {
    const { view, config } = this.#context.state
    return view?.leader === undefined ? undefined : historyMark(config, view.leader.createRevision)
  }

  async #start(action: Extract<Long, { kind: 'start' }>, signal: AbortSignal): Promise<MemoryUpdate> {
    const { fence, keeper, callbacks } = this.#context
    await takeSettings(this.#context)
    await namesForStart(this.#context, action.as)
    callbacks.expect('on_start')
    let mayGoOn = signal
    if (action.as === 'primary') {
      if (keeper.leftMs() <= 0 || fence.isActing)
        throw new HaError('E_LEASE_LOST', 'the lease was lost before the start')
      fence.arm()
      await armWatchdog(this.#context)
      // The fence kills what it finds; a server that is launched after its look must not be.
      mayGoOn = AbortSignal.any([signal, fence.signal])
    }
    const isUp = await this.#startServer(action, mayGoOn)
    if (isUp === 'not-yet') return noUpdate
    if (isUp)
      return memory => ({
        ...memory,
        failedStarts: 0,
        nextStartAtMs: Number.NEGATIVE_INFINITY,
        isOursToStart: false,
      })
    throw new HaError('E_START', 'the server did not come up')
  }

  /** A standby that needs WAL from elsewhere comes up when it has it: the task must not hold the loop until then. */
  async #startServer(
    { as, upstream }: Extract<Long, { kind: 'start' }>,
    signal: AbortSignal,
  ): Promise<boolean | 'not-yet'> {
    const { postgres, clock } = this.#context.parts
    if (as === 'primary') return postgres.start(as, upstream, signal)
    const by = Deadline.in(clock, STANDBY_START_MS)
    try {
      return await by.run('start', patience => postgres.start(as, upstream, patience), signal)
    } catch (error) {
      if (error instanceof DeadlineError) return 'not-yet'
      throw error
    }
  }

  async #promote(sync: PromotionWrite | undefined, signal: AbortSignal): Promise<MemoryUpdate> {
    const { parts, state, keeper, fence } = this.#context
    if (!(await prePromote(this.#context, signal))) return this.#giveUpPromotion()
    const beganAtMs = parts.clock.monotonicMs()
    if (sync !== undefined) await beginSynchronous(this.#context, sync)
    else if (state.synchronousNames.names !== undefined) await setSynchronousNames(this.#context, undefined)
    if (keeper.leftMs() <= 0 || fence.isActing)
      throw new HaError('E_LEASE_LOST', 'the lease was lost before the promotion')
    fence.arm()
    // From here on our WAL may have a beginning of a timeline that nobody else has, however this ends.
    state.memory = { ...state.memory, cleanAgainst: undefined }
    const { isDone, update } = await untilPromoted(this.#context, signal)
    if (update !== undefined) return update
    if (!isDone) {
      await stopQuickly(this.#context)
      await keeper.release(Deadline.in(parts.clock, RELEASE_TIMEOUT_MS))
      throw new HaError('E_PROMOTE', 'the server did not leave recovery; the leader key is released')
    }
    const promoteMs = parts.clock.monotonicMs() - beganAtMs
    state.phases = { lockMs: state.lockMs ?? 0, promoteMs }
    parts.events.record({
      kind: 'promoted',
      says: `promoted in ${(promoteMs / 1000).toFixed(2)} s`,
      facts: { lock_ms: Math.round(state.lockMs ?? 0), promote_ms: Math.round(promoteMs) },
    })
    this.#checkpointInBackground()
    return memory => ({ ...memory, role: 'primary', cleanAgainst: undefined })
  }

  /** Somebody else may be fit to lead: nobody who waits for us to be. */
  async #giveUpPromotion(): Promise<MemoryUpdate> {
    const { parts, keeper } = this.#context
    const says = 'promotion cancelled because pre_promote failed: the leader key is released'
    parts.events.record({ kind: 'pre-promote-failed', says })
    await keeper.release(Deadline.in(parts.clock, RELEASE_TIMEOUT_MS))
    const prePromoteFailedAtMs = parts.clock.monotonicMs()
    return memory => ({ ...memory, role: 'replica', prePromoteFailedAtMs })
  }

  /** Others rewind from us only once our control file shows the new timeline; that takes a checkpoint. */
  #checkpointInBackground(): void {
    const { parts, state } = this.#context
    state.checkpointAfterPromote = false
    parts.postgres
      .checkpoint(Deadline.in(parts.clock, CHECKPOINT_TIMEOUT_MS))
      .then(
        isDone => {
          if (!isDone) parts.log.warning('the checkpoint after promotion did not finish')
        },
        error => parts.log.warning(`checkpoint after promotion failed: ${messageOf(error)}`),
      )
      .finally(() => {
        state.checkpointAfterPromote = true
      })
  }

  async #rewind(leader: Upstream, signal: AbortSignal): Promise<MemoryUpdate> {
    const { parts, state } = this.#context
    const epoch = this.#epoch()
    const { divergence } = state
    if (divergence?.kind !== 'diverged') return noUpdate
    state.isStopExpected = true
    const wasRunning = state.server.process === 'running'
    if (wasRunning) this.#context.callbacks.stopped()
    const result = await parts.postgres.rewind(leader, divergence, signal)
    if (!result.ok) {
      parts.log.error(`pg_rewind from ${leader.member} failed: ${result.says}`)
      if (result.isFinal) return memory => ({ ...memory, rewindFailedAgainst: epoch })
      const nowMs = parts.clock.monotonicMs()
      return memory => ({
        ...memory,
        rewindPause: laterRewind(memory, nowMs),
        isOursToStart: memory.isOursToStart || wasRunning,
      })
    }
    const { name } = parts.local
    const kilobytes = (Number(result.discardedBytes) / 1024).toFixed(0)
    parts.events.record({
      kind: 'rewound',
      says: `rewind: ${kilobytes} KB discarded on ${name}`,
      facts: { discarded_bytes: result.discardedBytes, from: leader.member },
    })
    // We stopped it: a pause that began meanwhile must not leave it down.
    return memory => ({ ...memory, cleanAgainst: epoch, isOursToStart: true, rewindPause: undefined })
  }
}

const START_PAUSE_MS = 250
const START_PAUSE_MAX_MS = 10_000

/** Each failure doubles the pause before the next attempt. */
function countFailedStart(memory: Memory, nowMs: number): Memory {
  const failedStarts = memory.failedStarts + 1
  return { ...memory, failedStarts, nextStartAtMs: nowMs + pauseAfter(failedStarts) }
}

function laterRewind({ rewindPause }: Memory, nowMs: number): Memory['rewindPause'] {
  const tries = (rewindPause?.tries ?? 0) + 1
  return { tries, untilMs: nowMs + pauseAfter(tries) }
}

function pauseAfter(failures: number): number {
  return Math.min(START_PAUSE_MS * 2 ** (failures - 1), START_PAUSE_MAX_MS)
}

function task(
  kind: TaskPlan['kind'],
  says: string,
  work: TaskPlan['work'],
  onFailure: MemoryUpdate = noUpdate,
): TaskPlan {
  return { kind, says, work, onFailure }
}

/** The view's members with a REST address, the named ones alone if there are any. */
export function candidateUrls(
  view: ClusterView,
  me: string,
  named: readonly string[] | undefined,
): ReadonlyMap<string, string> {
  const urls = new Map<string, string>()
  for (const member of view.members.values()) {
    const isWanted = named === undefined || named.includes(member.name)
    if (isWanted && member.name !== me && member.apiUrl !== undefined) urls.set(member.name, member.apiUrl)
  }
  return urls
}
