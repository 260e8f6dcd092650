// How the process ends: signals, an ordered stop with deadlines, and what nobody caught. Built once, in `commands/`.

import type { Clock } from './clock.ts'
import { Deadline } from './deadline.ts'
import { messageOf } from './errors.ts'
import type { Logger } from './log.ts'

/** The part of `process` that is needed; tests bring their own. */
export interface ProcessPort {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
  exit(code: number): void
}

export interface LifecycleOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly process: ProcessPort
  /** Whether SIGHUP reads the configuration again, once `onReload` was called. */
  readonly readsAgain: boolean
  /** Whether SIGUSR1 stops the process, as HAProxy's soft stop does. */
  readonly softStop: boolean
}

interface Step {
  readonly name: string
  readonly limitMs: number
  readonly stop: (by: Deadline) => Promise<void>
}

/** A bug, told apart from a mistake of the operator (1) and from a wrong command line (2). */
export const FATAL_EXIT_CODE = 70
const SECOND_SIGNAL_EXIT_CODE = 130
const NOT_READ_AGAIN = 'this process does not read its file again: restart it (pgherd check FILE first)'

export class Lifecycle {
  readonly #options: LifecycleOptions
  readonly #controller = new AbortController()
  readonly #steps: Step[] = []
  readonly #lastActs: (() => void)[] = []
  readonly #listeners: [string, (...args: unknown[]) => void][] = []
  #reload: (() => void) | undefined
  #isDying = false
  #stopped: Promise<void> | undefined

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  /** Aborts when the stop begins. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /**
   * Takes the process's signals: SIGTERM and SIGINT stop in order, a second one runs the last acts and exits; SIGHUP
   * reloads. SIGUSR1 and SIGUSR2 are taken because the runtime would open a debugger's port for the one and die of the
   * other. What nobody caught is logged, the last acts run, and the process exits: supervision starts it again.
   */
  install(): void {
    this.#listen('SIGTERM', () => this.#onStopSignal('SIGTERM'))
    this.#listen('SIGINT', () => this.#onStopSignal('SIGINT'))
    this.#listen('SIGHUP', () => this.#onReloadSignal())
    this.#listen('SIGUSR1', () => this.#onSoftStop())
    this.#listen('SIGUSR2', () =>
      this.#sayNoReload('SIGUSR2', 'nothing is done: SIGHUP reads the file again'),
    )
    this.#listen('uncaughtException', (error: unknown) => this.#die('uncaught exception', error))
    this.#listen('unhandledRejection', (error: unknown) => this.#die('unhandled rejection', error))
  }

  /** Gives the signals back: for tests and for a command that ends by itself. */
  uninstall(): void {
    for (const [event, listener] of this.#listeners.splice(0)) this.#options.process.off(event, listener)
  }

  /** Registers a step of the stop; the last registered runs first. One that takes longer than `limitMs` is left behind. */
  onStop(name: string, limitMs: number, stop: (by: Deadline) => Promise<void>): void {
    this.#steps.push({ name, limitMs, stop })
  }

  onReload(reload: () => void): void {
    this.#reload = reload
  }

  /** Something that must happen before a crash or a hurried exit, without waiting: a fence. */
  onFatal(act: () => void): void {
    this.#lastActs.push(act)
  }

  /** Stops everything in order, once; later calls wait for the same stop. Never rejects. */
  stop(why: string): Promise<void> {
    this.#stopped ??= this.#runSteps(why)
    return this.#stopped
  }

  async #runSteps(why: string): Promise<void> {
    const { clock, log } = this.#options
    this.#controller.abort(new Error(why))
    for (const { name, limitMs, stop } of this.#steps.reverse()) {
      const by = Deadline.in(clock, limitMs)
      await by
        .run(`stop of ${name}`, () => stop(by))
        .catch((error: unknown) => log.error(`stopping ${name}: ${messageOf(error)}`))
    }
  }

  #onStopSignal(name: string): void {
    const { log, process } = this.#options
    if (this.#stopped !== undefined) {
      log.warning(`${name} again: leaving at once`)
      for (const act of this.#lastActs) runQuietly(act)
      process.exit(SECOND_SIGNAL_EXIT_CODE)
      return
    }
    log.info(`${name}: stopping`)
    void this.stop(name)
  }

  #onReloadSignal(): void {
    if (this.#reload === undefined) this.#sayNoReload('SIGHUP', 'the start is not over: send it again then')
    else this.#reload()
  }

  #onSoftStop(): void {
    const { log, softStop } = this.#options
    if (!softStop) log.warning('SIGUSR1: nothing is done: SIGTERM stops this process')
    else if (this.#stopped === undefined) this.#onStopSignal('SIGUSR1')
  }

  /** HAProxy's reload is SIGUSR2, most programs' SIGHUP: whoever sends it believes afterwards that the new file counts. */
  #sayNoReload(name: string, otherwise: string): void {
    const { log, readsAgain } = this.#options
    log.warning(`${name}: ${readsAgain ? otherwise : NOT_READ_AGAIN}`)
  }

  #die(what: string, error: unknown): void {
    if (this.#isDying) return
    this.#isDying = true
    for (const act of this.#lastActs) runQuietly(act)
    const stack = error instanceof Error ? error.stack : undefined
    this.#options.log.critical(`${what}: ${messageOf(error)}`, { event: 'fatal', stack })
    this.#options.process.exit(FATAL_EXIT_CODE)
  }

  #listen(event: string, listener: (...args: unknown[]) => void): void {
    this.#listeners.push([event, listener])
    this.#options.process.on(event, listener)
  }
}

/** One last act that fails must not keep the next one from its turn. */
function runQuietly(act: () => void): void {
  try {
    act()
  } catch {
    // The process ends anyway; the first error is the one that is told.
  }
}
