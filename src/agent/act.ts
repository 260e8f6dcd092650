// Carries out what was decided, in order, and stops at the first action that fails. Never adds an action.

import { CLAIM_KEY } from '../cluster/claim.ts'
import { printJson } from '../cluster/json.ts'
import { emptyRequest, printRequest } from '../cluster/request.ts'
import { printTerm, TERM_KEY } from '../cluster/term.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Condition, Outcome, Write, Written } from '../dcs/dcs.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import type { Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { Divergence, WalOnLeader } from '../postgres/port.ts'
import type { Action } from './decision.ts'
import type { Failsafe } from './failsafe.ts'
import type { Fence } from './fence.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { LoopContext } from './observe.ts'
import type { AgentParts } from './parts.ts'
import type { PeerAnswer } from './snapshot.ts'
import type { AgentState } from './state.ts'
import { recordSync, SYNC_KEY, setSynchronousNames, unchanged } from './synchronous.ts'
import type { Tasks } from './tasks.ts'
import { Work, type WorkContext } from './work.ts'

/** What the actions of one step found out, for the next step of the same turn. */
export interface Answers {
  readonly peers?: readonly PeerAnswer[]
  readonly divergence?: Divergence
  readonly canRewind?: boolean
  readonly walOnLeader?: WalOnLeader
  readonly acquired?: 'won' | 'lost' | 'unknown'
  /** Of the last long action: false when another one ran. */
  readonly isStarted?: boolean
  /** One of them failed: decided again at once it would fail again, and a turn that goes on for long looks like a hung loop. */
  readonly hasFailed?: boolean
}

function takesKey({ kind }: Action): boolean {
  return kind === 'acquire-leader' || kind === 'reattach-leader'
}

function outcomeOf({ acquired, divergence, walOnLeader, isStarted }: Answers): string {
  if (isStarted !== undefined) return isStarted ? 'started' : 'refused'
  return acquired ?? divergence?.kind ?? walOnLeader ?? 'done'
}

const PEER_TIMEOUT_MS = 2_000
const BRIEF_TIMEOUT_MS = 500
/** A busy leader and our own WAL need more than an exchange with etcd. */
const COMPARE_TIMEOUT_MS = 5_000
/** Its host may be gone, and its lease about to end: this must not hold up the race. */
const CHECK_WAL_TIMEOUT_MS = 1_000
const FOLLOW_TIMEOUT_MS = 10_000
const TURN_PULSE_MS = 500

export class Executor {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #fence: Fence
  readonly #tasks: Tasks
  readonly #failsafe: Failsafe
  readonly #context: WorkContext
  readonly #work: Work

  constructor(context: LoopContext) {
    const { parts, state, keeper, fence } = context
    this.#parts = parts
    this.#state = state
    this.#keeper = keeper
    this.#fence = fence
    this.#tasks = context.tasks
    this.#failsafe = context.failsafe
    this.#context = context
    this.#work = new Work(context)
  }

  /** Runs the actions. An action that throws is logged and ends the step; what was learnt so far is returned. */
  async run(actions: readonly Action[], rule: string): Promise<Answers> {
    const { metrics } = this.#parts
    let answers: Answers = {}
    for (const action of actions) {
      try {
        const found = await this.#one(action)
        metrics.acted(rule, action.kind, outcomeOf(found))
        answers = { ...answers, ...found }
      } catch (error) {
        metrics.acted(rule, action.kind, 'failed')
        this.#parts.log.warning(`${action.kind} failed: ${messageOf(error)}`)
        if (takesKey(action)) return { ...answers, acquired: 'unknown' }
        // What was decided by is no longer so: what is read next decides anew.
        return isOvertaken(error) ? answers : { ...answers, hasFailed: true }
      }
    }
    return answers
  }

  async #one(action: Action): Promise<Answers> {
    const { postgres, clock } = this.#parts
    switch (action.kind) {
      case 'ask-peers':
        return { peers: await this.#askPeers(action.peers) }
      case 'check-divergence':
        return this.#checkDivergence(action)
      case 'check-wal': {
        const by = Deadline.in(clock, CHECK_WAL_TIMEOUT_MS)
        const { leader, from, timeline } = action
        return { walOnLeader: await postgres.walOnLeader(leader, from, timeline, by) }
      }
      case 'acquire-leader':
        return this.#acquire()
      case 'reattach-leader':
        return this.#reattach()
      case 'arm-watchdog':
        await this.#context.watchdog.arm()
        return {}
      case 'follow':
        await postgres.follow(action.upstream, Deadline.in(clock, FOLLOW_TIMEOUT_MS))
        return {}
      case 'stop-receiving':
        await postgres.follow(undefined, Deadline.in(clock, FOLLOW_TIMEOUT_MS))
        return {}
      case 'exit':
        this.#state.exitCode = action.code
        return {}
      case 'cancel-task':
        await this.#tasks.cancel('the leader gives way')
        return {}
      case 'set-synchronous-names':
        await setSynchronousNames(this.#context, action.names)
        return {}
      case 'write-sync':
      case 'delete-sync':
        await recordSync({ parts: this.#parts, keeper: this.#keeper }, action, this.#writeDeadline())
        return {}
      case 'release-leader':
      case 'register-system-id':
      case 'write-config':
      case 'clear-request':
      case 'begin-request':
        await this.#write(action)
        return {}
      default:
        return { isStarted: this.#tasks.start(this.#work.plan(action)) }
    }
  }

  /**
   * In a synchronous mode nothing that the former leader alone has was acknowledged, so its word can only cost time: where its
   * host is gone, everybody would wait for it to the end. In asynchronous replication its word may save rows. A server that runs
   * as the primary has them all, and its fence gives it a second to take a key that vanished: it waits for nobody longer.
   */
  async #askPeers(peers: ReadonlyMap<string, string>): Promise<readonly PeerAnswer[]> {
    const { askPeers, clock } = this.#parts
    const { memory, config, server } = this.#state
    const isPrimary = server.facts?.role === 'primary'
    const isShort = (name: string) =>
      isPrimary || (config.synchronousMode !== 'off' && name === memory.lastLeader)
    const ask = (isBriefly: boolean, withinMs: number) => {
      const asked = new Map([...peers].filter(([name]) => isShort(name) === isBriefly))
      return askPeers(asked, Deadline.in(clock, withinMs))
    }
    const answers = await Promise.all([ask(false, PEER_TIMEOUT_MS), ask(true, BRIEF_TIMEOUT_MS)])
    return answers.flat()
  }

  /** A bootstrap that is still under way somewhere finds its claim gone, and gives up. */
  #register(systemId: string, by: Deadline): Promise<Written> {
    const { dcs } = this.#parts
    const { hold } = this.#keeper
    const asSeen = unchanged('initialize', this.#state.view?.initialize?.modRevision)
    const writes: readonly Write[] = [
      { kind: 'put', key: 'initialize', value: systemId },
      { kind: 'delete', key: CLAIM_KEY },
    ]
    return hold === undefined
      ? dcs.write([{ kind: 'absent', key: 'initialize' }], writes, by)
      : writeAsLeader(dcs, hold, writes, by, [asSeen])
  }

  /** The time that one exchange with etcd may take within a turn. */
  #writeDeadline(): Deadline {
    return Deadline.in(this.#parts.clock, this.#state.config.retryTimeoutSeconds * 1000)
  }

  async #checkDivergence({ leader }: Extract<Action, { kind: 'check-divergence' }>): Promise<Answers> {
    const by = Deadline.in(this.#parts.clock, COMPARE_TIMEOUT_MS)
    const divergence = await this.#duringTurn(() => this.#parts.postgres.divergence(leader, by))
    this.#state.divergence = divergence
    if (divergence.kind === 'unknown') {
      this.#parts.log.info(`history of (${leader.member}) not compared yet: ${divergence.why}`)
    }
    if (divergence.kind !== 'diverged') return { divergence }
    return { divergence, canRewind: await this.#parts.postgres.canRewind(by.within(COMPARE_TIMEOUT_MS)) }
  }

  /** A leader compares only in a standby cluster: its turn may take that long without looking hung to its own lease. */
  async #duringTurn<T>(work: () => Promise<T>): Promise<T> {
    let pulse: Timer | undefined
    const beat = () => {
      this.#keeper.noteTurn()
      pulse = this.#parts.clock.setTimer(TURN_PULSE_MS, beat)
    }
    if (this.#keeper.hold !== undefined) beat()
    try {
      return await work()
    } finally {
      pulse?.cancel()
    }
  }

  async #acquire(): Promise<Answers> {
    const { view } = this.#state
    if (view === undefined) return { acquired: 'lost' }
    const request = view.request?.value
    // The request that brought us here is done with; a scheduled one is still to come.
    const isAnswered = request !== undefined && request.scheduledAt === undefined
    const term = { name: this.#parts.local.name, continues: this.#continues(view) }
    const also: Write[] = [{ kind: 'put', key: TERM_KEY, value: printTerm(term) }]
    if (isAnswered) also.push({ kind: 'put', key: 'failover', value: emptyRequest })
    const outcome = await this.#take(also, asRead(view))
    if (outcome !== 'won') return { acquired: outcome === 'lost' ? 'lost' : 'unknown' }
    this.#state.lastTerm = this.#keeper.hold?.createRevision
    const { keyGoneAtMs } = this.#state
    const nowMs = this.#parts.clock.monotonicMs()
    this.#state.lockMs = keyGoneAtMs === undefined ? 0 : nowMs - keyGoneAtMs
    this.#fence.arm()
    return { acquired: 'won' }
  }

  /**
   * Our former term, if a primary that never stopped takes its vanished key again: the compares of the acquire say that
   * nobody has led since. Proxies keep its sessions then.
   */
  #continues(view: ClusterView): bigint | undefined {
    const { lastTerm, server } = this.#state
    const isOurs = lastTerm !== undefined && view.own.get('term')?.modRevision === lastTerm
    return isOurs && server.facts?.role === 'primary' ? lastTerm : undefined
  }

  /** From the decision to the answer nobody is promised anything; and a promise that was just given keeps us from writing. */
  async #take(also: readonly Write[], conditions: readonly Condition[]): Promise<Outcome> {
    if (this.#failsafe.promisedTo !== undefined) return 'lost'
    this.#state.isTaking = true
    try {
      return await this.#keeper.acquire(this.#writeDeadline(), also, conditions)
    } finally {
      this.#state.isTaking = false
    }
  }

  async #reattach(): Promise<Answers> {
    const leader = this.#state.view?.leader
    if (leader === undefined) return { acquired: 'lost' }
    if (this.#keeper.adopt(leader)) {
      this.#state.lastTerm = leader.createRevision
      this.#fence.arm()
      return { acquired: 'won' }
    }
    const outcome = await this.#keeper.reattach(leader, this.#writeDeadline())
    if (outcome === 'won') {
      this.#state.lastTerm = leader.createRevision
      this.#fence.arm()
    } else this.#parts.log.warning(`the leader key with my name could not be taken up again (${outcome})`)
    return { acquired: outcome === 'won' ? 'won' : outcome === 'lost' ? 'lost' : 'unknown' }
  }

  async #write(
    action: Extract<
      Action,
      { kind: 'release-leader' | 'register-system-id' | 'write-config' | 'clear-request' | 'begin-request' }
    >,
  ) {
    const { dcs, local } = this.#parts
    const by = this.#writeDeadline()
    const { hold } = this.#keeper
    switch (action.kind) {
      case 'release-leader':
        await mustWin(this.#keeper.release(by).then(outcome => ({ outcome })))
        if (this.#state.server.process === 'stopped') this.#context.callbacks.demoted()
        return
      case 'register-system-id':
        await mustWin(this.#register(action.systemId, by))
        return
      case 'write-config': {
        const raw = this.#state.lastView?.config?.value ?? this.#state.config.raw
        const value = printJson(Object.keys(raw).length > 0 ? raw : local.bootstrap.dcs)
        if (hold === undefined) return
        // Somebody may have restored it meanwhile, and a write that comes late must not undo what was changed since.
        await mustWin(
          writeAsLeader(dcs, hold, [{ kind: 'put', key: 'config', value }], by, [
            unchanged('config', this.#state.view?.configModRevision),
          ]),
        )
        return
      }
      case 'clear-request':
      case 'begin-request': {
        if (hold === undefined) return
        const value =
          action.kind === 'clear-request'
            ? emptyRequest
            : printRequest({ ...action.request, scheduledAt: undefined })
        await mustWin(
          writeAsLeader(dcs, hold, [{ kind: 'put', key: 'failover', value }], by, [
            unchanged('failover', this.#state.view?.requestModRevision),
          ]),
        )
        return
      }
    }
  }
}

/**
 * Nobody has led since the view that the race was decided by: each leader writes its position, its timeline, its
 * synchronous state or at least its name. A write that was held up somewhere must not make us leader of a later world.
 */
function asRead(view: ClusterView): readonly Condition[] {
  return [
    unchanged('status', view.statusModRevision),
    unchanged('history', view.historyModRevision),
    unchanged(SYNC_KEY, view.syncModRevision),
    unchanged('failover', view.requestModRevision),
    unchanged(TERM_KEY, view.own.get('term')?.modRevision),
  ]
}

/** Throws when a write did not win: what was decided after it rests on it. */
async function mustWin(write: Promise<{ readonly outcome: Outcome }>): Promise<void> {
  const { outcome } = await write
  if (outcome === 'won') return
  throw new HaError(outcome === 'lost' ? OVERTAKEN : 'E_NOT_WRITTEN', `the write ended as ${outcome}`)
}

/** A key that the write compared had changed. */
const OVERTAKEN = 'E_OVERTAKEN'

function isOvertaken(error: unknown): boolean {
  return error instanceof HaError && error.code === OVERTAKEN
}
