// The machine's watchdog beside our lease: armed before this server may become a primary, fed only by answers that prove our
// leadership, disarmed when no process of the server is left. What nobody feeds resets the machine, so a frozen process, a
// hung loop or a lost lease end a primary although nobody here acts. The argument is in docs/design.md, "The watchdog".

import type { WatchdogConfig } from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { WatchdogDevice, WatchdogInfo } from '../platform/watchdog-device.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import { judgeTimeout, mayFeed, planObstacle, type WatchdogPlan, watchdogPlan } from './watchdog-plan.ts'

/** Opening a device may load a driver's firmware; while we wait the lease is renewed by its own timer. */
const ARM_MS = 3_000
const CALL_MS = 1_000
const LOOK_MS = 500

/** The machine's devices; simulations model them. */
export interface Watchdogs {
  /** Not opened yet. Throws HaError where there can be none. */
  device(config: WatchdogConfig): WatchdogDevice
  /** May we write to it? Never rejects. */
  isWritable(path: string, by: Deadline): Promise<boolean>
}

export interface WatchdogParts {
  readonly watchdogs: Watchdogs
  readonly config: () => WatchdogConfig
  readonly keeper: Pick<LeaseKeeper, 'ttlMs' | 'timings' | 'hold' | 'primaryLeftMs' | 'provenSinceMs'>
  readonly isFencing: () => boolean
  readonly clock: Clock
  readonly log: Logger
  readonly onFed: (isDone: boolean) => void
}

/** What a decision may know of it. */
export interface WatchdogState {
  readonly mode: WatchdogConfig['mode']
  readonly isArmed: boolean
  /** Why it does not watch over us, where that has been tried; undefined: it does, or was not tried. */
  readonly lack: string | undefined
  /** False only where it is required: this member must not lead. */
  readonly isHealthy: boolean
}

interface Armed {
  readonly device: WatchdogDevice
  readonly info: WatchdogInfo
  readonly config: WatchdogConfig
  timeoutSeconds: number
  fedAtMs: number
  /** The first failure since it was last fed. */
  trouble: string | undefined
}

interface Failure {
  readonly says: string
  readonly atMs: number
  /** Under which term and settings; another one is worth another attempt. */
  readonly circumstances: string
}

export class Watchdog {
  readonly #parts: WatchdogParts
  #armed: Armed | undefined
  #failure: Failure | undefined
  #isWritable = false
  #isFeeding = false
  /** One after the other: a device that is being let go cannot be opened. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: WatchdogParts) {
    this.#parts = parts
  }

  get state(): WatchdogState {
    const { mode } = this.#parts.config()
    return { mode, isArmed: this.#armed !== undefined, lack: this.#lack(), isHealthy: this.#isHealthy() }
  }

  /** Looks whether a required device is there. Once a turn. */
  async look(): Promise<void> {
    const { config, watchdogs, clock } = this.#parts
    const { mode, device } = config()
    if (mode !== 'required' || this.#armed !== undefined) return
    this.#isWritable = await watchdogs.isWritable(device, Deadline.in(clock, LOOK_MS))
  }

  /** Opens and sets it, unless it is armed. Whether it watches now is in the state. Never rejects. */
  arm(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#armed !== undefined || this.#parts.config().mode === 'off') return
      try {
        await this.#open()
        this.#failure = undefined
      } catch (error) {
        this.#fail(messageOf(error))
      }
    })
  }

  /** An answer has proven our leadership: feeds it, beside the event loop. */
  proven(): void {
    const armed = this.#armed
    if (armed === undefined || this.#isFeeding) return
    // What it is about to be set to counts: after a change of ttl the old timeout says nothing of the new lease.
    const timeoutSeconds = armed.info.canSetTimeout
      ? this.#plan(this.#parts.config()).timeoutSeconds
      : armed.timeoutSeconds
    const { keeper, isFencing } = this.#parts
    const isLead = keeper.primaryLeftMs() > 0 && !isFencing()
    // A lease that became shorter must not wait for a young proof: the old timeout would outlast it.
    const mustShorten = isLead && timeoutSeconds < armed.timeoutSeconds
    if (!mustShorten && !this.#mayFeed(timeoutSeconds)) return
    this.#isFeeding = true
    void this.#inTurn(() => this.#feed(armed)).finally(() => {
      this.#isFeeding = false
    })
  }

  #mayFeed(timeoutSeconds: number): boolean {
    const { keeper, clock, isFencing } = this.#parts
    const { ttlMs, provenSinceMs: sentAtMs } = keeper
    const proof = { nowMs: clock.monotonicMs(), sentAtMs, ttlMs, timeoutMs: timeoutSeconds * 1000 }
    return mayFeed({ ...proof, leftMs: keeper.primaryLeftMs(), isFencing: isFencing() })
  }

  /**
   * No process of the server is left, or it is a standby without our key, or the cluster is paused: the machine may live.
   * Never rejects.
   */
  standDown(): Promise<void> {
    const armed = this.#armed
    if (armed === undefined) return this.settled()
    this.#armed = undefined
    return this.#inTurn(() => this.#letGo(armed))
  }

  /** Resolves when nothing more is under way with the device. */
  settled(): Promise<void> {
    return this.#inTurn(async () => {})
  }

  async #open(): Promise<void> {
    const { watchdogs, config, clock } = this.#parts
    const chosen = config()
    const plan = this.#plan(chosen)
    const obstacle = planObstacle(plan, this.#loopWaitSeconds)
    if (obstacle !== undefined) throw new HaError('E_WATCHDOG', obstacle)
    const by = Deadline.in(clock, ARM_MS)
    const device = watchdogs.device(chosen)
    const beganAtMs = clock.monotonicMs()
    const info = await device.open(by)
    const armed: Armed = {
      device,
      info,
      config: chosen,
      timeoutSeconds: 0,
      fedAtMs: beganAtMs,
      trouble: undefined,
    }
    try {
      await this.#set(armed, plan, by)
    } catch (error) {
      await this.#letGo(armed)
      throw error
    }
    this.#armed = armed
    this.#tell(armed, plan)
  }

  /** Sets the timeout, which feeds it too. Rejects when the device cannot watch over us as it must. */
  async #set(armed: Armed, plan: WatchdogPlan, by: Deadline): Promise<void> {
    const { device, info, config } = armed
    const setAtMs = this.#parts.clock.monotonicMs()
    if (info.canSetTimeout) {
      await device.setTimeoutSeconds(plan.timeoutSeconds, by)
      armed.fedAtMs = setAtMs
    }
    const actualSeconds = await device.timeoutSeconds(by)
    const verdict = judgeTimeout(plan, actualSeconds, this.#loopWaitSeconds)
    const isRefused = verdict.kind === 'useless' || (verdict.kind === 'unsafe' && config.mode === 'required')
    if (isRefused) throw new HaError('E_WATCHDOG', verdict.because)
    if (verdict.kind === 'unsafe') this.#parts.log.warning(`watchdog: ${verdict.because}`)
    armed.timeoutSeconds = actualSeconds
  }

  async #feed(armed: Armed): Promise<void> {
    const { clock, log, onFed } = this.#parts
    if (this.#armed !== armed) return
    try {
      if (await this.#isOutdated(armed)) return
      // A device may take its time for another timeout; what it was to be fed for may be over by then.
      if (!this.#mayFeed(armed.timeoutSeconds)) return
      const atMs = clock.monotonicMs()
      await armed.device.keepalive(Deadline.in(clock, CALL_MS))
      armed.fedAtMs = atMs
      armed.trouble = undefined
      onFed(true)
    } catch (error) {
      if (armed.trouble === undefined)
        log.error(
          `the watchdog cannot be fed: ${messageOf(error)}: it may reset this machine within ${armed.timeoutSeconds} s`,
        )
      armed.trouble ??= messageOf(error)
      onFed(false)
    }
  }

  /** Other settings: a timeout is set anew; another device, or none, is opened by the loop's next turn. */
  async #isOutdated(armed: Armed): Promise<boolean> {
    const { config, clock } = this.#parts
    const chosen = config()
    const plan = this.#plan(chosen)
    const { mode, device, driver } = armed.config
    const isOther = chosen.device !== device || chosen.driver !== driver || chosen.mode !== mode
    if (isOther || planObstacle(plan, this.#loopWaitSeconds) !== undefined) {
      this.#armed = undefined
      await this.#letGo(armed)
      return true
    }
    if (!armed.info.canSetTimeout || plan.timeoutSeconds === armed.timeoutSeconds) return false
    await this.#set(armed, plan, Deadline.in(clock, CALL_MS))
    this.#tell(armed, plan)
    return false
  }

  async #letGo({ device, info, timeoutSeconds }: Armed): Promise<void> {
    const { clock, log } = this.#parts
    try {
      if (!info.canBeDisarmed) {
        // Time for whoever wants to end this machine in order.
        await device.keepalive(Deadline.in(clock, CALL_MS))
        log.warning(
          `the watchdog (${info.identity}) cannot be disarmed: it resets this machine in ${timeoutSeconds} s`,
        )
      }
      await device.disarm(Deadline.in(clock, CALL_MS))
      if (info.canBeDisarmed) log.info('watchdog disarmed')
    } catch (error) {
      log.error(`the watchdog cannot be disarmed: ${messageOf(error)}: it may reset this machine`)
    }
  }

  #tell({ info, timeoutSeconds }: Armed, { slackSeconds }: WatchdogPlan): void {
    this.#parts.log.info(
      `watchdog (${info.identity}) armed: it resets this machine ${timeoutSeconds} s after it was last fed, slack ${slackSeconds} s`,
    )
    if (info.canBeDisarmed) return
    this.#parts.log.warning(
      'this watchdog cannot be disarmed: it resets the machine when this member stops leading',
    )
  }

  #fail(says: string): void {
    const { clock, log, config } = this.#parts
    this.#failure = { says, atMs: clock.monotonicMs(), circumstances: this.#circumstances() }
    const text = `watchdog not armed: ${says}`
    if (config().mode === 'required') log.error(text)
    else log.info(text)
  }

  #lack(): string | undefined {
    if (this.#armed !== undefined) return this.#isFailing(this.#armed) ? this.#armed.trouble : undefined
    const failure = this.#failure
    if (failure === undefined) return undefined
    const { clock, keeper, config } = this.#parts
    const isRecent = clock.monotonicMs() - failure.atMs < keeper.ttlMs
    const isStill = failure.circumstances === this.#circumstances()
    return isStill || (config().mode === 'required' && isRecent) ? failure.says : undefined
  }

  /** It could not be fed for so long that it will fire soon. */
  #isFailing({ trouble, fedAtMs, timeoutSeconds }: Armed): boolean {
    return trouble !== undefined && this.#parts.clock.monotonicMs() - fedAtMs > timeoutSeconds * 500
  }

  #isHealthy(): boolean {
    const config = this.#parts.config()
    if (config.mode !== 'required') return true
    if (planObstacle(this.#plan(config), this.#loopWaitSeconds) !== undefined) return false
    return this.#lack() === undefined && (this.#armed !== undefined || this.#isWritable)
  }

  get #loopWaitSeconds(): number {
    return this.#parts.keeper.timings.loopWaitMs / 1000
  }

  /** By the ttl of the lease in force, or by the one that it is about to be replaced by, if that is shorter. */
  #plan(config: WatchdogConfig): WatchdogPlan {
    const { ttlMs, timings } = this.#parts.keeper
    return watchdogPlan(config, Math.min(ttlMs, timings.ttlMs) / 1000, this.#loopWaitSeconds)
  }

  #circumstances(): string {
    const { config, keeper } = this.#parts
    const { timeoutSeconds } = this.#plan(config())
    return JSON.stringify([config(), timeoutSeconds, String(keeper.hold?.createRevision)])
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#last.then(work)
    this.#last = next.catch(() => {})
    return next
  }
}

/** Before a server comes up as a primary without a promotion. Throws HaError where a watchdog is required and does not work. */
export async function armWatchdog({ watchdog }: { readonly watchdog: Watchdog }): Promise<void> {
  await watchdog.arm()
  const { mode, lack } = watchdog.state
  if (mode === 'required' && lack !== undefined)
    throw new HaError('E_WATCHDOG', `the watchdog does not work and is required: ${lack}`)
}
