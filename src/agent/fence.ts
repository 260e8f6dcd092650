// Ends the server's authority at a deadline that nothing in this process can hold up. Every tick compares clocks and
// sends signals; it awaits nothing first, asks nobody, and does not care what the loop, a task or a query is doing.
// The safety argument is in docs/design.md, "The fence".

import type { Clock, Timer } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Postgres } from '../postgres/port.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { type Loss, marginMs } from './lease-timings.ts'

const TICK_MS = 100
/** A leader whose key vanished takes it again within milliseconds, or within the time that a dead peer needs not to answer. */
const RETAKE_MS_MAX = 1_000
const KILL_REPEAT_MS = 20
/** /proc/uptime counts in steps of 10 ms; anything below this is no suspend. */
const SUSPEND_NOISE_MS = 500

export interface FenceParts {
  readonly keeper: LeaseKeeper
  readonly postgres: Pick<Postgres, 'signalPostmaster' | 'killFamily'>
  readonly clock: Clock
  /** Milliseconds since boot including suspend; undefined where the system does not tell. */
  readonly suspendAwareMs: () => number | undefined
  readonly log: Logger
  /** The server was ended by force: the loop must look again. */
  readonly onFenced: (says: string) => void
}

type Stage = 'calm' | 'fast' | 'immediate' | 'kill'

/**
 * Armed while the server is, or may become, a primary on the strength of our lease. `arm` before a promotion is ordered,
 * `disarm` once the server is known to be stopped or a standby.
 */
export class Fence {
  readonly #parts: FenceParts
  #timer: Timer | undefined
  #isArmed = false
  #isSweeping = false
  #stage: Stage = 'calm'
  #lastTickMs: number
  #lastUptimeMs: number | undefined
  /** The last deadline known; it stays in force after the hold was lost. */
  #deadlineMs = Number.NEGATIVE_INFINITY
  #acting = new AbortController()

  constructor(parts: FenceParts) {
    this.#parts = parts
    this.#lastTickMs = parts.clock.monotonicMs()
    this.#lastUptimeMs = parts.suspendAwareMs()
  }

  get isArmed(): boolean {
    return this.#isArmed
  }

  /** True from the first signal until `disarm`: the server is being ended. */
  get isActing(): boolean {
    return this.#stage !== 'calm'
  }

  /** Aborts at the first signal of this arming: whatever would bring a server up must stop. */
  get signal(): AbortSignal {
    return this.#acting.signal
  }

  start(): void {
    this.#schedule(TICK_MS)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** A fence that acts goes through with it: only `disarm` ends that. */
  arm(): void {
    this.#isArmed = true
    if (!this.isActing) this.#deadlineMs = this.#parts.keeper.safeUntilMs
  }

  disarm(): void {
    this.#isArmed = false
    if (!this.isActing) return
    this.#stage = 'calm'
    this.#acting = new AbortController()
  }

  /**
   * The hold was lost before its time. When somebody else may lead, one margin is left for an orderly stop. When nobody
   * holds the key there is a moment to take it again before that stop begins.
   */
  shorten(loss: Loss): void {
    const { clock, keeper } = this.#parts
    const margin = marginMs(keeper.ttlMs)
    const leftMs = loss === 'vacant' ? keeper.ttlMs / 6 + Math.min(margin, RETAKE_MS_MAX) : margin
    this.#deadlineMs = Math.min(this.#deadlineMs, clock.monotonicMs() + leftMs)
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#parts.clock.setTimer(delayMs, () => this.#tick())
  }

  #tick(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    this.#noticeGap(nowMs)
    if (!this.#isArmed) {
      this.#schedule(TICK_MS)
      return
    }
    const { keeper } = this.#parts
    // A renewal that comes after the first signal is too late: the server is going down, and half a stop is none.
    if (Number.isFinite(keeper.safeUntilMs) && !this.isActing) this.#deadlineMs = keeper.safeUntilMs
    const leftMs = this.#deadlineMs - nowMs
    const { ttlMs } = keeper
    if (leftMs <= 0) this.#kill()
    else if (leftMs <= marginMs(ttlMs) / 2) this.#escalate('immediate', 'SIGQUIT', leftMs)
    else if (leftMs <= ttlMs / 6) this.#escalate('fast', 'SIGINT', leftMs)
    this.#schedule(this.#stage === 'calm' ? TICK_MS : KILL_REPEAT_MS)
  }

  /** A process that stood still may have been overtaken: until the key has been read it is not the leader. */
  #noticeGap(nowMs: number): void {
    const uptimeMs = this.#parts.suspendAwareMs()
    const tickedMs = nowMs - this.#lastTickMs
    const lastUptimeMs = this.#lastUptimeMs
    const passedMs = uptimeMs === undefined || lastUptimeMs === undefined ? tickedMs : uptimeMs - lastUptimeMs
    this.#lastTickMs = nowMs
    this.#lastUptimeMs = uptimeMs
    const { keeper, log } = this.#parts
    const suspendedMs = passedMs - tickedMs
    if (suspendedMs > SUSPEND_NOISE_MS) {
      // A suspended machine's monotonic clock stands still while the lease in etcd runs on.
      keeper.loseTime(suspendedMs)
      this.#deadlineMs -= suspendedMs
    }
    const gapMs = Math.max(tickedMs, passedMs)
    if (gapMs <= Math.max(keeper.ttlMs / 4, TICK_MS * 3)) return
    keeper.suspect()
    log.warning(
      `the process stood still for ${Math.round(gapMs)} ms: leadership counts again once the key is read`,
    )
  }

  #escalate(stage: 'fast' | 'immediate', signal: 'SIGINT' | 'SIGQUIT', leftMs: number): void {
    if (this.#stage === stage || this.#stage === 'kill') return
    if (stage === 'fast' && this.#stage === 'immediate') return
    this.#enter(stage)
    this.#parts.postgres.signalPostmaster(signal)
    this.#parts.log.warning(`fence: ${stage} shutdown, the lease is safe for ${Math.round(leftMs)} ms more`)
  }

  #enter(stage: Stage): void {
    this.#stage = stage
    this.#acting.abort(new Error('the lease is running out'))
  }

  #kill(): void {
    const isFirst = this.#stage !== 'kill'
    this.#enter('kill')
    this.#parts.postgres.signalPostmaster('SIGKILL')
    if (!this.#isSweeping) void this.#sweep()
    if (isFirst) this.#parts.log.error('fence: the lease has run out, killing the server')
  }

  /** Ends every process of the server, orphaned backends included; done when a look finds none. */
  async #sweep(): Promise<void> {
    this.#isSweeping = true
    try {
      const found = await this.#parts.postgres.killFamily()
      if (found > 0 || this.#stage !== 'kill') return
      this.disarm()
      this.#parts.onFenced('fence: no process of the server is left, the lease had run out')
    } catch (error) {
      this.#parts.log.error(`fence: cannot look for the server's processes: ${messageOf(error)}`)
    } finally {
      this.#isSweeping = false
    }
  }
}
