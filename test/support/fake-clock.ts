// A Clock that a test holds: time moves only when the test says so, and timers fire in the order of their times.

import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { type Clock, clampDelayMs, sleepWith, type Timer } from '../../src/platform/clock.ts'

interface Armed {
  readonly atMs: number
  readonly run: () => void
}

/** Starts at monotonic 0 and at a fixed wall time. */
export class FakeClock implements Clock {
  #nowMs = 0
  #wallOffsetMs = Date.UTC(2026, 0, 1)
  readonly #armed = new Set<Armed>()

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const armed = { atMs: this.#nowMs + clampDelayMs(delayMs), run }
    this.#armed.add(armed)
    return { cancel: () => void this.#armed.delete(armed) }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this, delayMs, signal)
  }

  /** Timers that wait: a test of `close()` expects none. */
  get timers(): number {
    return this.#armed.size
  }

  /** Moves time on; after each timer everything that became runnable runs before the next one fires. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    await yieldToLoop()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#armed.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
      await yieldToLoop()
    }
    this.#nowMs = untilMs
    await yieldToLoop()
  }

  /** Time passes without anything running, as while the process is stopped; due timers fire at the next `advance`. */
  jump(durationMs: number): void {
    this.#nowMs += durationMs
  }

  /** Moves the wall clock alone, as an administrator or NTP would. */
  stepWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  #next(untilMs: number): Armed | undefined {
    let next: Armed | undefined
    for (const armed of this.#armed) {
      if (armed.atMs <= untilMs && (next === undefined || armed.atMs < next.atMs)) next = armed
    }
    return next
  }
}
