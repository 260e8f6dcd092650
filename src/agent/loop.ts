// The turns: observe, decide, act, at most a few steps each, then upkeep. One turn at a time; woken by events, else by
// the clock. Nothing in here may keep the fence or the lease keeper waiting: they have timers of their own.

import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { type Answers, Executor } from './act.ts'
import { decide } from './decide.ts'
import { changesKeys, changesServer, type Decision, needsAnotherStep } from './decision.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { type LoopContext, Observer } from './observe.ts'
import type { AgentParts } from './parts.ts'
import type { AgentState } from './state.ts'
import type { Tasks } from './tasks.ts'
import { Upkeep } from './upkeep.ts'
import type { Watchdog } from './watchdog.ts'

const STEPS_MAX = 8
const LOOKS_MAX = 3
/** Until what failed is tried again, in a turn of its own. */
const AFTER_FAILURE_MS = 1_000
const REPEAT_SENTENCE_MS = 60_000

export class Loop {
  readonly #parts: AgentParts
  readonly #state: AgentState
  readonly #keeper: LeaseKeeper
  readonly #tasks: Tasks
  readonly #watchdog: Watchdog
  readonly #observer: Observer
  readonly #executor: Executor
  readonly #upkeep: Upkeep
  #wake: (() => void) | undefined
  #isWoken = false
  #againInMs: number | undefined
  #lastSentence = ''
  #lastRule = ''
  #lastSaidAtMs = Number.NEGATIVE_INFINITY

  constructor(context: LoopContext) {
    const { parts, state, keeper, tasks, callbacks } = context
    this.#parts = parts
    this.#state = state
    this.#keeper = keeper
    this.#tasks = tasks
    this.#watchdog = context.watchdog
    this.#observer = new Observer(context, () => this.wake())
    this.#executor = new Executor(context)
    this.#upkeep = new Upkeep(parts, state, keeper, tasks, callbacks)
  }

  /** What the loop said last, and under which rule. */
  get lastWords(): { readonly rule: string; readonly says: string } {
    return { rule: this.#lastRule, says: this.#lastSentence }
  }

  get observer(): Observer {
    return this.#observer
  }

  get upkeep(): Upkeep {
    return this.#upkeep
  }

  /** The next turn begins now, or right after the one that runs. */
  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Runs turns until the signal aborts or a decision ends the process (its exit code is in the state). */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts
    while (!signal.aborted && this.#state.exitCode === undefined) {
      const beganAtMs = clock.monotonicMs()
      this.#isWoken = false
      const rule = await this.turn().catch(error => {
        log.error(`turn failed: ${messageOf(error)}`)
        return 'turn-failed'
      })
      this.#parts.metrics.turn(clock.monotonicMs() - beganAtMs, rule)
      this.#state.nextTurnAtMs = beganAtMs + this.#state.config.loopWaitSeconds * 1000
      const { nextStartAtMs } = this.#state.memory
      const isStartDue = nextStartAtMs > beganAtMs && this.#state.server.process === 'stopped'
      const againAtMs = this.#againInMs === undefined ? Infinity : clock.monotonicMs() + this.#againInMs
      const dueAtMs = Math.min(this.#state.nextTurnAtMs, againAtMs, isStartDue ? nextStartAtMs : Infinity)
      await this.#sleepUntil(dueAtMs, signal)
    }
  }

  async #sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    if (this.#isWoken || signal.aborted || this.#state.exitCode !== undefined) return
    const nap = new AbortController()
    const end = () => nap.abort(new Error('woken'))
    this.#wake = end
    signal.addEventListener('abort', end, { once: true })
    await clock.sleep(atMs - clock.monotonicMs(), nap.signal).catch(() => {})
    signal.removeEventListener('abort', end)
    this.#wake = undefined
  }

  /** One turn. Returns the name of the last rule that spoke. */
  async turn(): Promise<string> {
    this.#keeper.noteTurn()
    await Promise.all([this.#observer.readView(), this.#lookWithoutTaskEnd(), this.#watchdog.look()])
    this.#applyTaskUpdates()
    const rule = await this.#steps()
    await this.#upkeep.run()
    this.#settle()
    return rule
  }

  /** Decides and acts until nothing more follows from it. Whatever is decided is carried out. */
  async #steps(): Promise<string> {
    let answers: Answers = {}
    for (let step = 1; ; step += 1) {
      const { actions, rule } = this.#decide(answers)
      const found = await this.#executor.run(actions, rule)
      answers = { ...answers, ...found }
      if (!actions.some(needsAnotherStep) || this.#state.exitCode !== undefined) return rule
      if (found.hasFailed === true) {
        this.#noteFailure()
        return rule
      }
      if (step === STEPS_MAX) return rule
      if (found.acquired !== undefined || actions.some(changesKeys)) await this.#observer.readView()
      if (actions.some(changesServer)) await this.#observer.lookAgain()
    }
  }

  /** The turn ends here, and what it decided is due again soon. Its upkeep may wait for the same etcd or server once more. */
  #noteFailure(): void {
    this.#againInMs = Math.min(this.#againInMs ?? Infinity, AFTER_FAILURE_MS)
    this.#keeper.noteTurn()
  }

  /** The first turn is over once it knew the store and the server: before that, a running primary may still be ours. */
  #settle(): void {
    const { view, server, memory } = this.#state
    const isKnown = server.facts !== undefined || server.process === 'stopped'
    if (view !== undefined && isKnown) this.#state.memory = { ...memory, isSettled: true }
  }

  /** A look during which a task ended may show the server before the task's effect: it is taken again. */
  async #lookWithoutTaskEnd(): Promise<void> {
    for (let attempt = 0; attempt < LOOKS_MAX; attempt += 1) {
      const { endedCount } = this.#tasks
      await this.#observer.lookAgain()
      if (this.#tasks.endedCount === endedCount) return
    }
  }

  #applyTaskUpdates(): void {
    for (const update of this.#tasks.takeUpdates()) this.#state.memory = update(this.#state.memory)
  }

  #decide(answers: Answers): Decision {
    const decision = decide(this.#observer.snapshot(answers), this.#state.memory)
    this.#state.memory = decision.memory
    this.#againInMs = decision.againInMs
    if (decision.warns !== undefined) this.#parts.log.warning(decision.warns, { rule: decision.rule })
    this.#tell(decision)
    return decision
  }

  /** One sentence a turn, when it changes and once in a while. Decisions that act become events. */
  #tell({ rule, says, actions, warns, needsOperator }: Decision): void {
    const { clock, log, events } = this.#parts
    const nowMs = clock.monotonicMs()
    const isNew = says !== this.#lastSentence
    this.#lastRule = rule
    if (!isNew && nowMs - this.#lastSaidAtMs < REPEAT_SENTENCE_MS) return
    this.#lastSentence = says
    this.#lastSaidAtMs = nowMs
    if (actions.some(action => action.kind === 'exit')) log.critical(says, { rule })
    else if (isNew && (actions.length > 0 || warns !== undefined))
      events.record({ kind: rule, rule, says, epoch: this.#observer.epoch() })
    else if (needsOperator === true) log.warning(says, { rule })
    else log.info(says, { rule })
  }

  /** Refreshes the server's facts between turns, for the REST answers. */
  async refresh(by: Deadline): Promise<void> {
    await by.run('server status', () => this.#observer.lookAgain()).catch(() => {})
  }
}
