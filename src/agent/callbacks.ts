// Tells the operator's scripts what became of the server. Never waits for one: at most one runs, and a newer one ends it
// first, because only the last word about a role counts; `on_reload` says nothing of roles and has a place of its own.
//
// Which call is due follows from what was last told: a role that differs is a change of role, whatever brought it about. So
// a demotion and the start that goes with it are one call, and a server that was taken over is told of once.

import type { CallbackAction, ScriptConfig, Scripts } from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import type { ScriptEnd } from '../platform/script.ts'

/** Runs a command line with these arguments behind it; ends it when the signal aborts. Never rejects. */
export type RunScript = (line: string, args: readonly string[], signal: AbortSignal) => Promise<ScriptEnd>

export interface CallbackParts {
  readonly scope: string
  readonly run: RunScript
  readonly clock: Clock
  readonly log: Logger
  /** As configured at the moment. */
  readonly scripts: () => Scripts
  readonly how: () => ScriptConfig
  readonly onEnded: (action: CallbackAction, result: CallbackResult) => void
}

export type CallbackResult = 'done' | 'failed' | 'replaced' | 'timed-out'

const BEGUN_LOOK_MS = 10
/** A script that takes longer over the word that a standby leader is a replica first is ended by the next word. */
const FIRST_WORD_MS = 1_000

export class Callbacks {
  readonly #parts: CallbackParts
  readonly #roles: Place
  readonly #reloads: Place
  /** The role that was last told; undefined before the first call. */
  #told: string | undefined
  /** What the server's coming up will be. */
  #expected: 'on_start' | 'on_restart' | undefined
  #replicaToldAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: CallbackParts) {
    this.#parts = parts
    this.#roles = new Place(parts)
    this.#reloads = new Place(parts)
  }

  /** The server is about to be started. */
  expect(action: 'on_start' | 'on_restart'): void {
    this.#expected = action
  }

  /** The server runs in this role, as every look at it says again. */
  running(role: string): void {
    if (role !== 'standby_leader') this.#running(role)
    // Whoever leads a standby cluster is told of as a replica first: scripts rely on both calls.
    else if (this.#told !== 'replica' && this.#told !== 'standby_leader') this.#running('replica')
    else if (!this.#isFirstWordHeard()) return
    else this.#running(role)
  }

  #isFirstWordHeard(): boolean {
    const sinceMs = this.#parts.clock.monotonicMs() - this.#replicaToldAtMs
    return !this.#roles.isBusy || sinceMs >= FIRST_WORD_MS
  }

  #running(role: string): void {
    const expected = this.#expected
    const isNew = this.#told !== undefined && this.#told !== role
    if (this.#told === role && expected === undefined) return
    this.#expected = undefined
    this.#told = role
    if (role === 'replica') this.#replicaToldAtMs = this.#parts.clock.monotonicMs()
    this.#call(isNew ? 'on_role_change' : (expected ?? 'on_start'), role)
  }

  /** We have stopped the server; `role` is what it was by then, if that is not what was last told. */
  stopped(role = this.#told): void {
    if (role === undefined) return
    if (this.#told === 'primary') this.#told = 'demoted'
    this.#expected = 'on_start'
    this.#call('on_stop', role)
  }

  /** A primary that is down and does not come back as one. */
  demoted(): void {
    if (this.#told !== 'primary') return
    this.#told = 'demoted'
    this.#call('on_role_change', 'demoted')
  }

  /** The server has read its files again. */
  reloaded(role: string): void {
    this.#call('on_reload', role)
  }

  /** Every call that is due has begun, or `withinMs` are over: what has begun goes on without us. */
  async begun(withinMs: number): Promise<void> {
    const { clock } = this.#parts
    const untilMs = clock.monotonicMs() + withinMs
    const isWaiting = () => this.#roles.isWaiting || this.#reloads.isWaiting
    while (isWaiting() && clock.monotonicMs() < untilMs) await clock.sleep(BEGUN_LOOK_MS)
  }

  #call(action: CallbackAction, role: string): void {
    const line = this.#parts.scripts().callbacks[action]
    if (line === undefined) return
    const { primaryRole } = this.#parts.how()
    const args = [action, role === 'primary' ? primaryRole : role, this.#parts.scope]
    const place = action === 'on_reload' ? this.#reloads : this.#roles
    place.run({ action, line, args })
  }
}

interface Call {
  readonly action: CallbackAction
  readonly line: string
  readonly args: readonly string[]
}

/** Where one script runs at a time. */
class Place {
  readonly #parts: CallbackParts
  #next: Call | undefined
  #replace: AbortController | undefined

  constructor(parts: CallbackParts) {
    this.#parts = parts
  }

  /** Is one to run as soon as the one before it is gone? */
  get isWaiting(): boolean {
    return this.#next !== undefined
  }

  get isBusy(): boolean {
    return this.#replace !== undefined
  }

  /** Runs it now, or as soon as the one that it replaces is gone. */
  run(call: Call): void {
    this.#next = call
    if (this.#replace === undefined) void this.#runAll()
    else this.#replace.abort(new Error('a newer callback is due'))
  }

  async #runAll(): Promise<void> {
    for (let call = this.#next; call !== undefined; call = this.#next) {
      this.#next = undefined
      this.#replace = new AbortController()
      await this.#runOne(call, this.#replace.signal)
    }
    this.#replace = undefined
  }

  async #runOne({ action, line, args }: Call, replaced: AbortSignal): Promise<void> {
    const { run, clock, log, how, onEnded } = this.#parts
    const timeout = new AbortController()
    const { callbackTimeoutMs } = how()
    const timer =
      callbackTimeoutMs === undefined
        ? undefined
        : clock.setTimer(callbackTimeoutMs, () => timeout.abort(new Error('it took too long')))
    const end = await run(line, args, AbortSignal.any([replaced, timeout.signal]))
    timer?.cancel()
    const what = `callback ${args.slice(0, 2).join(' ')}`
    if (end.kind === 'exited' && end.code === 0) {
      log.debug(`${what} is done`)
      onEnded(action, 'done')
    } else if (end.kind === 'killed' && replaced.aborted) {
      log.info(`${what} was ended for a newer one`)
      onEnded(action, 'replaced')
    } else if (end.kind === 'killed' && timeout.signal.aborted) {
      log.warning(`${what} was ended: it took longer than pgherd.callback_timeout`)
      onEnded(action, 'timed-out')
    } else {
      const why = end.kind === 'exited' ? `exit code ${end.code}` : end.says
      log.warning(`${what} failed (postgresql.callbacks.${action}): ${why}`)
      onEnded(action, 'failed')
    }
  }
}
