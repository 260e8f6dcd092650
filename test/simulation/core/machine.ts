// A machine's clock and the processes on it: frozen and thawed, killed, suspended. A process that is dead or stopped
// gets nothing; one that is thawed gets what waited for it.

import { type Clock, clampDelayMs, sleepWith, type Timer } from '../../../src/platform/clock.ts'
import type { Random } from './random.ts'
import { onGrid, type Scheduler } from './scheduler.ts'

/** Wall time of every world's beginning. */
const WALL_START_MS = Date.UTC(2026, 0, 1)
/** What waited for a thawed process reaches it within this time, in the order that the seed chooses. */
export const THAW_SPREAD_MS = 2

/** What a wall clock says that nobody has set wrong. */
export function wallMsOf({ nowMs }: Scheduler): number {
  return WALL_START_MS + nowMs
}

/** A machine: one monotonic clock, with an origin and a rate of its own. */
export class Machine {
  readonly name: string
  readonly scheduler: Scheduler
  readonly random: Random
  readonly #originMs: number
  readonly #rate: number
  #suspendedMs = 0
  #wallStepMs = 0
  #resumedAtMs = Number.NEGATIVE_INFINITY
  #suspends = 0
  #suspendedSinceMs = 0
  #onAwake: (() => void)[] = []

  constructor(name: string, scheduler: Scheduler, random: Random) {
    this.name = name
    this.scheduler = scheduler
    this.random = random
    this.#originMs = random.whole(1_000, 900_000)
    this.#rate = random.between(0.999, 1.001)
  }

  /** Does not count the time that the machine was suspended, as CLOCK_MONOTONIC does not. */
  monotonicMs(): number {
    return onGrid(this.#originMs + (this.scheduler.nowMs - this.#suspendedMs) * this.#rate)
  }

  /** Counts it, as /proc/uptime does, in its steps of 10 ms. */
  uptimeMs(): number {
    return Math.floor((this.#originMs + this.scheduler.nowMs * this.#rate) / 10) * 10
  }

  wallMs(): number {
    return wallMsOf(this.scheduler) + this.#wallStepMs
  }

  /** Somebody sets the wall clock that far from the right time; the monotonic one does not notice. */
  setWallWrong(byMs: number): void {
    this.#wallStepMs = byMs
  }

  /** Duration on this machine's clock as a duration of the world. */
  toWorldMs(durationMs: number): number {
    return durationMs / this.#rate
  }

  /** When, in the world's time, it woke from its last suspend. */
  get resumedAtMs(): number {
    return this.#resumedAtMs
  }

  /** Suspended by one more cause; time that two causes share is lost once. */
  suspend(): void {
    if (this.#suspends === 0) this.#suspendedSinceMs = this.scheduler.nowMs
    this.#suspends += 1
  }

  resume(): void {
    this.#suspends -= 1
    if (this.#suspends > 0) return
    this.noteSuspended(this.scheduler.nowMs - this.#suspendedSinceMs)
    for (const run of this.#onAwake.splice(0)) run()
  }

  /** Now, or when it wakes: for what belongs to the machine and to none of its processes. */
  whenAwake(run: () => void): void {
    if (this.#suspends > 0) this.#onAwake.push(run)
    else run()
  }

  noteSuspended(durationMs: number): void {
    this.#suspendedMs += durationMs
    this.#resumedAtMs = this.scheduler.nowMs
  }
}

/** One process, or the processes of one server. Everything that reaches it goes through `deliver`. */
export class Process implements Clock {
  readonly name: string
  readonly machine: Machine
  #isDead = false
  #frozenBy = 0
  #frozenAtMs = Number.NEGATIVE_INFINITY
  #thawedAtMs = Number.NEGATIVE_INFINITY
  #waiting: (() => void)[] = []

  constructor(name: string, machine: Machine) {
    this.name = name
    this.machine = machine
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isFrozen(): boolean {
    return this.#frozenBy > 0
  }

  /** Is it running code now? */
  get isAwake(): boolean {
    return !this.#isDead && this.#frozenBy === 0
  }

  /** Now if it runs, at the thaw if it is stopped, never if it is dead. */
  deliver(run: () => void): void {
    if (this.#isDead) return
    if (this.#frozenBy > 0) this.#waiting.push(run)
    else run()
  }

  /** Since when, in the world's time, it runs again, and for how long it had been stopped before. */
  get lastStop(): { readonly endedAtMs: number; readonly tookMs: number } {
    return { endedAtMs: this.#thawedAtMs, tookMs: this.#thawedAtMs - this.#frozenAtMs }
  }

  /**
   * For how long, in the world's time, it has run since its machine was suspended; before that a timer may not have told it.
   */
  get seenResumeForMs(): number {
    const { scheduler, resumedAtMs } = this.machine
    const hasSleptThrough = this.#frozenAtMs <= resumedAtMs && resumedAtMs <= this.#thawedAtMs
    return scheduler.nowMs - (hasSleptThrough ? this.#thawedAtMs : resumedAtMs)
  }

  /** `deliver` after `delayMs` of the world's time. */
  later(delayMs: number, run: () => void): Timer {
    return this.machine.scheduler.in(delayMs, () => this.deliver(run))
  }

  /** SIGSTOP; nested calls need as many thaws. */
  freeze(): void {
    if (this.#frozenBy === 0) this.#frozenAtMs = this.machine.scheduler.nowMs
    this.#frozenBy += 1
  }

  thaw(): void {
    if (this.#frozenBy === 0) return
    this.#frozenBy -= 1
    if (this.#frozenBy > 0) return
    const { scheduler, random } = this.machine
    this.#thawedAtMs = scheduler.nowMs
    for (const run of this.#waiting.splice(0)) {
      scheduler.in(random.between(0, THAW_SPREAD_MS), () => this.deliver(run))
    }
  }

  /** The machine started anew: what stood still is gone, and nothing stands still any more. */
  reset(): void {
    this.#frozenBy = 0
    this.#waiting = []
  }

  /** SIGKILL: whatever it waits for never comes. */
  kill(): void {
    this.#isDead = true
    this.#waiting = []
  }

  monotonicMs(): number {
    return this.machine.monotonicMs()
  }

  wallMs(): number {
    return this.machine.wallMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return this.#arm(this.machine.monotonicMs() + clampDelayMs(delayMs), run)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this, delayMs, signal)
  }

  #arm(dueMs: number, run: () => void): Timer {
    const { machine } = this
    let isCancelled = false
    const fire = () => {
      if (isCancelled) return
      // The machine was suspended in between: its clock has not got there yet.
      const leftMs = dueMs - machine.monotonicMs()
      if (leftMs > 0) machine.scheduler.in(machine.toWorldMs(leftMs), () => this.deliver(fire))
      else run()
    }
    const handle = machine.scheduler.in(machine.toWorldMs(dueMs - machine.monotonicMs()), () =>
      this.deliver(fire),
    )
    return {
      cancel: () => {
        isCancelled = true
        handle.cancel()
      },
    }
  }
}
