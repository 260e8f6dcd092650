// Probes one member for ever: at its interval, faster while something is turning, at once when asked to.

import type { Clock, Timer } from '../platform/clock.ts'
import type { ProbeResult } from './document.ts'
import type { Probe } from './probe.ts'

/** When to probe. */
export interface ProbeSchedule {
  readonly intervalMs: number
  readonly fastIntervalMs: number
  readonly timeoutMs: number
  /** While it is down and nothing is turning; the interval unless it is said. */
  readonly downIntervalMs?: number
  /** Is a hurried probe given less time, so that silence is found out in two intervals? */
  readonly hurriedTimeoutMs?: number
}

/** What a prober tells and asks. */
export interface ProberListener {
  onResult(result: ProbeResult): void
  /** Is a change on its way at this member? Asked after each result. */
  isHurried(): boolean
  /** Is it down? Asked after each result. */
  isDown?(): boolean
}

/** One member's prober. Probes never overlap; intervals count from departure to departure. */
export class Prober {
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #schedule: ProbeSchedule
  readonly #listener: ProberListener
  readonly #stopping = new AbortController()
  #timer: Timer | undefined
  #dueAtMs = Number.POSITIVE_INFINITY
  #isAsking = false
  #isKicked = false
  #wasSilent = false

  constructor(clock: Clock, probe: Probe, schedule: ProbeSchedule, listener: ProberListener) {
    this.#clock = clock
    this.#probe = probe
    this.#schedule = schedule
    this.#listener = listener
  }

  /** Sends the first probe at once. */
  start(): void {
    this.#ask()
  }

  /** Probes after `delayMs` at the latest; right after the present probe if one is on its way. */
  kick(delayMs = 0): void {
    if (this.#stopping.signal.aborted) return
    if (this.#isAsking) {
      this.#isKicked = true
      return
    }
    if (this.#clock.monotonicMs() + delayMs < this.#dueAtMs) this.#arm(delayMs)
  }

  /** No result is told after this returns. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the prober was stopped'))
    this.#timer?.cancel()
    await this.#probe.close()
  }

  #everyMs(): number {
    const { intervalMs, fastIntervalMs, downIntervalMs = intervalMs } = this.#schedule
    if (this.#listener.isHurried()) return fastIntervalMs
    return this.#listener.isDown?.() === true ? downIntervalMs : intervalMs
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel()
    this.#dueAtMs = this.#clock.monotonicMs() + delayMs
    this.#timer = this.#clock.setTimer(delayMs, () => this.#ask())
  }

  #ask(): void {
    const startedAtMs = this.#clock.monotonicMs()
    this.#isAsking = true
    const { timeoutMs, hurriedTimeoutMs = timeoutMs } = this.#schedule
    // `ask` never rejects, by its contract.
    void this.#probe
      .ask(this.#wasSilent ? hurriedTimeoutMs : timeoutMs, this.#stopping.signal)
      .then(result => {
        this.#isAsking = false
        if (this.#stopping.signal.aborted) return
        this.#wasSilent = result.kind === 'silent'
        this.#listener.onResult(result)
        const everyMs = this.#everyMs()
        const passedMs = this.#clock.monotonicMs() - startedAtMs
        this.#arm(this.#isKicked ? 0 : everyMs - passedMs)
        this.#isKicked = false
      })
  }
}
