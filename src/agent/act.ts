// Carries out what was decided, in order, and stops at the first action that fails. Never adds an action.

import { printJson } from '../cluster/json.ts'
import { emptyRequest } from '../cluster/request.ts'
import { writeAsLeader } from '../dcs/leadership.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Divergence } from '../postgres/port.ts'
import type { Action } from './decision.ts'
import type { Fence } from './fence.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { AgentParts } from './parts.ts'
import type { PeerAnswer } from './snapshot.ts'
import type { AgentState } from './state.ts'
import type { Tasks } from './tasks.ts'
import { Work } from './work.ts'

/** What the actions of one step found out, for the next step of the same turn. */
export interface Answers {
  readonly peers?: readonly PeerAnswer[]
  readonly divergence?: Divergence
  readonly acquired?: 'won' | 'lost' | 'unknown'
}

const PEER_TIMEOUT_MS = 2_000
/** No lease hangs on it: whoever compares does not lead. A busy leader and our own WAL need more than an exchange with etcd. */
const COMPARE_TIMEOUT_MS = 5_000
const FOLLOW_TIMEOUT_MS = 10_000

export class Executor {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #fence: Fence
  readonly #tasks: Tasks
  readonly #work: Work

  constructor(parts: AgentParts, state: AgentState, keeper: LeaseKeeper, fence: Fence, tasks: Tasks) {
    this.#parts = parts
    this.#state = state
    this.#keeper = keeper
    this.#fence = fence
    this.#tasks = tasks
    this.#work = new Work(parts, state, keeper, fence)
  }

  /** Runs the actions. An action that throws is logged and ends the step; what was learnt so far is returned. */
  async run(actions: readonly Action[]): Promise<Answers> {
    let answers: Answers = {}
    for (const action of actions) {
      try {
        answers = { ...answers, ...(await this.#one(action)) }
      } catch (error) {
        this.#parts.log.warning(`${action.kind} failed: ${messageOf(error)}`)
        return answers
      }
    }
    return answers
  }

  async #one(action: Action): Promise<Answers> {
    const { postgres, clock } = this.#parts
    switch (action.kind) {
      case 'ask-peers':
        return { peers: await this.#parts.askPeers(action.peers, Deadline.in(clock, PEER_TIMEOUT_MS)) }
      case 'check-divergence':
        return this.#checkDivergence(action)
      case 'acquire-leader':
        return this.#acquire()
      case 'reattach-leader':
        return this.#reattach()
      case 'follow':
        await postgres.follow(action.upstream, Deadline.in(clock, FOLLOW_TIMEOUT_MS))
        return {}
      case 'exit':
        this.#state.exitCode = action.code
        return {}
      case 'release-leader':
      case 'register-system-id':
      case 'write-config':
      case 'clear-request':
        await this.#write(action)
        return {}
      default:
        this.#tasks.start(this.#work.plan(action))
        return {}
    }
  }

  /** The time that one exchange with etcd may take within a turn. */
  #writeDeadline(): Deadline {
    return Deadline.in(this.#parts.clock, this.#state.config.retryTimeoutSeconds * 1000)
  }

  async #checkDivergence({ leader }: Extract<Action, { kind: 'check-divergence' }>): Promise<Answers> {
    const by = Deadline.in(this.#parts.clock, COMPARE_TIMEOUT_MS)
    const divergence = await this.#parts.postgres.divergence(leader, by)
    this.#state.divergence = divergence
    if (divergence.kind === 'unknown') {
      this.#parts.log.info(`history of (${leader.member}) not compared yet: ${divergence.why}`)
    }
    return { divergence }
  }

  async #acquire(): Promise<Answers> {
    const request = this.#state.view?.request?.value
    // The request that brought us here is done with; a scheduled one is still to come.
    const isAnswered = request !== undefined && request.scheduledAt === undefined
    const also = isAnswered ? [{ kind: 'put', key: 'failover', value: emptyRequest } as const] : []
    const outcome = await this.#keeper.acquire(this.#writeDeadline(), also)
    if (outcome !== 'won') return { acquired: outcome === 'lost' ? 'lost' : 'unknown' }
    const { keyGoneAtMs } = this.#state
    const nowMs = this.#parts.clock.monotonicMs()
    this.#state.lockMs = keyGoneAtMs === undefined ? 0 : nowMs - keyGoneAtMs
    this.#fence.arm()
    return { acquired: 'won' }
  }

  async #reattach(): Promise<Answers> {
    const leader = this.#state.view?.leader
    if (leader === undefined) return { acquired: 'lost' }
    if (this.#keeper.adopt(leader)) {
      this.#fence.arm()
      return { acquired: 'won' }
    }
    const outcome = await this.#keeper.reattach(leader, this.#writeDeadline())
    if (outcome === 'won') this.#fence.arm()
    else this.#parts.log.warning(`the leader key with my name could not be taken up again (${outcome})`)
    return { acquired: outcome === 'won' ? 'won' : outcome === 'lost' ? 'lost' : 'unknown' }
  }

  async #write(
    action: Extract<
      Action,
      { kind: 'release-leader' | 'register-system-id' | 'write-config' | 'clear-request' }
    >,
  ) {
    const { dcs, local } = this.#parts
    const by = this.#writeDeadline()
    const { hold } = this.#keeper
    switch (action.kind) {
      case 'release-leader':
        await this.#keeper.release(by)
        return
      case 'register-system-id':
        await dcs.write(
          [{ kind: 'absent', key: 'initialize' }],
          [{ kind: 'put', key: 'initialize', value: action.systemId }],
          by,
        )
        return
      case 'write-config': {
        const raw = this.#state.lastView?.config?.value ?? this.#state.config.raw
        const value = printJson(Object.keys(raw).length > 0 ? raw : local.bootstrap.dcs)
        if (hold !== undefined) await writeAsLeader(dcs, hold, [{ kind: 'put', key: 'config', value }], by)
        return
      }
      case 'clear-request':
        if (hold !== undefined) {
          await writeAsLeader(dcs, hold, [{ kind: 'put', key: 'failover', value: emptyRequest }], by)
        }
        return
    }
  }
}
