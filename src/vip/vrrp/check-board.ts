// Runs the checks that instances depend on, each at its own pace, and keeps what they last said.

import type { KeepalivedCheck } from '../../config/keepalived/types.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/log.ts'
import { type Asker, askerOf } from './questions.ts'
import { type CheckCount, type CheckState, count, initialCount } from './tracking.ts'

export interface CheckBoardOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly checks: readonly KeepalivedCheck[]
  readonly askerOf?: (check: KeepalivedCheck) => Asker
  /** A check went from one state to another. */
  readonly onChange: (name: string) => void
}

export class CheckBoard {
  readonly #runs: ReadonlyMap<string, CheckRun>

  constructor(options: CheckBoardOptions) {
    this.#runs = new Map(options.checks.map(check => [check.name, new CheckRun(check, options)]))
  }

  start(): void {
    for (const run of this.#runs.values()) run.start()
  }

  stateOf(name: string): CheckState {
    return this.#runs.get(name)?.state ?? 'unknown'
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#runs.values()].map(run => run.stop()))
  }
}

/** One check. Questions never overlap; intervals count from question to question. */
class CheckRun {
  readonly #check: KeepalivedCheck
  readonly #options: CheckBoardOptions
  readonly #asker: Asker
  #count: CheckCount
  #timer: Timer | undefined
  #isStopped = false

  constructor(check: KeepalivedCheck, options: CheckBoardOptions) {
    this.#check = check
    this.#options = options
    this.#asker = options.askerOf?.(check) ?? askerOf(check.question)
    this.#count = initialCount(check)
  }

  get state(): CheckState {
    return this.#count.state
  }

  start(): void {
    void this.#ask()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#asker.close()
  }

  async #ask(): Promise<void> {
    const { clock, log, onChange } = this.#options
    const { name, intervalMs, timeoutMs, text } = this.#check
    const startedAtMs = clock.monotonicMs()
    const { isGood, says } = await this.#asker.ask(Deadline.in(clock, timeoutMs))
    if (this.#isStopped) return
    const before = this.#count.state
    this.#count = count(this.#check, this.#count, isGood)
    const { state } = this.#count
    if (state !== before) {
      if (state === 'good') log.info(`check ${name} succeeds: ${says}`, { event: 'vrrp-check' })
      else log.warning(`check ${name} fails: ${says} (${text})`, { event: 'vrrp-check' })
      onChange(name)
    }
    const passedMs = clock.monotonicMs() - startedAtMs
    this.#timer = clock.setTimer(Math.max(intervalMs - passedMs, 0), () => void this.#ask())
  }
}
