// Keeps addresses that no interface of this host holds, by commands of the operator: a cloud's API, a script that Patroni
// called as its callback. What moves them takes them away from the last owner by itself; our removal is a courtesy.

import { type ChildResult, runChild } from '../platform/child.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { lockNames } from './address-scope.ts'
import type { AddressKeeper, KeeperEvents, Taken, TakeOptions, VipAddress } from './addresses.ts'
import { GuardLink, noGuard } from './guard-link.ts'

const TICK_MS = 100
const CHECK_EVERY_MS = 5_000
const GUARD_AGAIN_MS = 1_000
/** A command that took too long is killed after this at the latest. */
const KILL_MS = 1_000

/** Words of programs that are run without a shell, with the environment of `commandEnvironment` besides our own. */
export interface KeeperCommands {
  readonly add: readonly string[]
  readonly del: readonly string[]
  /** Exit code 0 while the addresses are here; anything else has `add` run again. */
  readonly check: readonly string[] | undefined
}

export interface CommandKeeperOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly name: string
  readonly addresses: readonly VipAddress[]
  readonly commands: KeeperCommands
  readonly timeoutMs: number
  readonly stallMs: number
  readonly guardWords: readonly string[]
  readonly store: unknown
  readonly kernelMs: () => number
}

export class CommandKeeper implements AddressKeeper {
  readonly addresses: readonly VipAddress[]
  readonly #options: CommandKeeperOptions
  #events: KeeperEvents | undefined
  #guard: GuardLink | undefined
  /** Why it could not be started last time. */
  #guardFailure: string | undefined
  #timer: Timer | undefined
  #isHeld = false
  #isClosed = false
  #untilMs = Number.POSITIVE_INFINITY
  #tickedAtMs: number
  #checkedAtMs = 0
  #leaseId: bigint | undefined
  #cancel = new AbortController()
  /** The last command begun: one at a time, in order, so that an old removal never follows a new addition. */
  #last: Promise<unknown> = Promise.resolve()
  /** Commands that run or wait. */
  #waiting = 0

  constructor(options: CommandKeeperOptions) {
    this.#options = options
    this.addresses = options.addresses
    this.#tickedAtMs = options.kernelMs()
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  get lacks(): string | undefined {
    return this.#guard === undefined ? noGuard(this.#guardFailure) : undefined
  }

  get fault(): string | undefined {
    return this.lacks
  }

  open(events: KeeperEvents): Promise<void> {
    this.#events = events
    this.#startGuardIn(0)
    this.#schedule()
    return Promise.resolve()
  }

  async take({ untilMs }: TakeOptions): Promise<Taken> {
    if (this.#isHeld) return { outcome: 'held' }
    const cancel = new AbortController()
    this.#cancel = cancel
    this.#untilMs = untilMs === undefined ? Number.POSITIVE_INFINITY : this.#kernelTime(untilMs)
    this.#tickedAtMs = this.#options.kernelMs()
    this.#isHeld = true
    this.#guard?.hold(this.#leftMs())
    const failure = await this.#runAdd(cancel.signal)
    this.check()
    if (cancel.signal.aborted) return { outcome: 'cancelled' }
    if (failure === undefined) return { outcome: 'held' }
    this.drop(failure)
    return { outcome: 'failed', why: failure }
  }

  extend(untilMs: number): void {
    if (this.check()) this.#untilMs = this.#kernelTime(untilMs)
  }

  drop(why: string): void {
    this.#cancel.abort()
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#options.log.info(`vip ${this.#options.name}: removing ${this.#names()}: ${why}`, {
      event: 'vip-removed',
    })
    // It is we who remove, however long that takes: the guard would run the command beside ours, perhaps after the next `add`.
    this.#guard?.hold((this.#waiting + 1) * (this.#options.timeoutMs + KILL_MS))
    void this.#run('del', this.#options.commands.del).then(() => {
      if (!this.#isHeld) this.#guard?.free()
    })
  }

  async settle(by: Deadline): Promise<void> {
    await by.run('removal of the addresses', () => this.#last.then(() => {})).catch(() => {})
  }

  nameLease(leaseId: bigint): void {
    this.#leaseId = leaseId
    this.#guard?.lease(leaseId.toString())
  }

  announce(): void {
    // Whoever moves them announces them.
  }

  check(): boolean {
    const nowMs = this.#options.kernelMs()
    const pausedMs = nowMs - this.#tickedAtMs
    this.#tickedAtMs = nowMs
    if (!this.#isHeld) return false
    if (pausedMs > this.#options.stallMs)
      this.#lose(`this process stood still for ${Math.round(pausedMs)} ms`)
    else if (nowMs >= this.#untilMs) this.#lose('the lease could not be renewed in time')
    return this.#isHeld
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.drop('the process is stopping')
    this.#timer?.cancel()
    await this.#last
    await this.#guard?.close()
  }

  #lose(why: string): void {
    if (!this.#isHeld) return
    this.drop(why)
    this.#events?.onDropped(why)
  }

  async #startGuard(): Promise<void> {
    const { clock, kernelMs, guardWords, store, commands, log } = this.#options
    const orders = {
      locks: lockNames(this.addresses),
      addresses: [],
      command: commands.del,
      environment: this.#environment(),
      store,
    }
    const guard = await GuardLink.start(
      { clock, kernelMs, words: guardWords, orders },
      {
        onDropped: lateMs => this.#lose(`this process was ${lateMs} ms late`),
        onGone: why => {
          this.#guard = undefined
          log.warning(`the guard process ended: ${why}`, { event: 'vip-guard' })
          if (this.#isHeld) this.#lose('the guard process is gone')
          else this.#events?.onChanged()
          this.#startGuardIn(GUARD_AGAIN_MS)
        },
      },
    )
    if (this.#isClosed) return await guard.close()
    if (this.#leaseId !== undefined) guard.lease(this.#leaseId.toString())
    this.#guard = guard
    this.#events?.onChanged()
  }

  #startGuardIn(delayMs: number): void {
    const { clock, log } = this.#options
    clock.setTimer(delayMs, () => {
      if (this.#isClosed || this.#guard !== undefined) return
      this.#startGuard().catch((error: unknown) => {
        if (this.#isClosed) return
        this.#guardFailure = messageOf(error)
        log.warning(this.#guardFailure, { event: 'vip-guard' })
        this.#startGuardIn(GUARD_AGAIN_MS)
        this.#events?.onChanged()
      })
    })
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(TICK_MS, () => {
      if (this.#isClosed) return
      if (this.check()) {
        this.#guard?.pet(this.#leftMs())
        this.#checkNow()
      }
      this.#schedule()
    })
  }

  #checkNow(): void {
    const { commands, kernelMs } = this.#options
    if (commands.check === undefined || kernelMs() - this.#checkedAtMs < CHECK_EVERY_MS) return
    this.#checkedAtMs = kernelMs()
    const signal = this.#cancel.signal
    void this.#run('check', commands.check).then(failure => {
      if (failure === undefined || signal.aborted) return
      this.#options.log.warning(`vip ${this.#options.name}: ${failure}; adding again`, {
        event: 'vip-put-back',
      })
      return this.#runAdd(signal)
    })
  }

  /** Left out when the addresses are not ours any more when its turn comes. */
  #runAdd(signal: AbortSignal): Promise<string | undefined> {
    const isOurs = () => !signal.aborted && this.#options.kernelMs() < this.#untilMs
    return this.#run('add', this.#options.commands.add, isOurs)
  }

  /** Resolves to what went wrong. `mayRun` is asked when its turn comes. */
  #run(what: string, words: readonly string[], mayRun = () => true): Promise<string | undefined> {
    this.#waiting += 1
    const result = this.#last.then(async () => {
      const failure = mayRun() ? await this.#runNow(what, words) : undefined
      this.#waiting -= 1
      return failure
    })
    this.#last = result
    return result
  }

  async #runNow(what: string, [program = '', ...args]: readonly string[]): Promise<string | undefined> {
    const { clock, timeoutMs, log, name } = this.#options
    try {
      const env = { ...process.env, ...this.#environment() }
      const result = await runChild(program, args, { by: Deadline.in(clock, timeoutMs), env })
      const failure = failureOf(`${what} (${program})`, result)
      if (failure !== undefined) log.warning(`vip ${name}: ${failure}`, { event: 'vip-command' })
      return failure
    } catch (error) {
      return `${what} (${program}): ${messageOf(error)}`
    }
  }

  #environment(): Readonly<Record<string, string>> {
    return commandEnvironment(this.#options)
  }

  #names(): string {
    return this.addresses.map(({ address }) => address).join(' ')
  }

  #leftMs(): number {
    return Math.min(this.#untilMs - this.#options.kernelMs(), this.#options.stallMs)
  }

  #kernelTime(monotonicMs: number): number {
    return this.#options.kernelMs() + monotonicMs - this.#options.clock.monotonicMs()
  }
}

/** What a command is told besides its words. */
export function commandEnvironment(vip: {
  readonly name: string
  readonly addresses: readonly Pick<VipAddress, 'address' | 'interfaceName'>[]
}): Readonly<Record<string, string>> {
  return {
    PGHERD_VIP: vip.name,
    PGHERD_VIP_ADDRESSES: vip.addresses.map(({ address }) => address).join(' '),
    PGHERD_VIP_INTERFACE: vip.addresses[0]?.interfaceName ?? '',
  }
}

/** The commands that a callback in Patroni's form stands for. */
export function callbackCommands(
  words: readonly string[],
  leaderRole: string,
  scope: string,
): KeeperCommands {
  return {
    add: [...words, 'on_role_change', leaderRole, scope],
    del: [...words, 'on_role_change', 'replica', scope],
    check: undefined,
  }
}

/** One line when a command went wrong. */
export function failureOf(what: string, { code, signal, timedOut, stderr }: ChildResult): string | undefined {
  if (code === 0) return undefined
  if (timedOut) return `${what} took too long`
  const said = stderr.trim().split('\n').at(-1) ?? ''
  return `${what} failed with ${signal ?? `exit code ${code}`}${said === '' ? '' : `: ${said}`}`
}
