// A machine's watchdog: counts on the machine's own clock and resets the machine when nobody feeds it. It goes on when every
// process stands still, and stands still only when the machine is suspended.

import type { WatchdogDevice, WatchdogInfo } from '../../src/platform/watchdog-device.ts'
import type { Machine, Process } from './core/machine.ts'
import type { Handle } from './core/scheduler.ts'

const CALL_MS = 1

export class SimWatchdog {
  readonly #machine: Machine
  readonly #onFired: () => void
  /** Nobody can open, feed or stop it. */
  isBroken = false
  #holder: Process | undefined
  #timeoutMs = 60_000
  /** On the machine's clock; undefined while it does not count. */
  #firesAtMs: number | undefined
  #look: Handle | undefined

  constructor(machine: Machine, onFired: () => void) {
    this.#machine = machine
    this.#onFired = onFired
  }

  get isCounting(): boolean {
    return this.#firesAtMs !== undefined
  }

  /** As a process of the machine sees it. */
  device(process: Process): WatchdogDevice {
    const call = async <T>(work: () => T): Promise<T> => {
      await process.sleep(CALL_MS)
      if (this.isBroken) throw new Error('the device does not answer')
      return work()
    }
    return {
      isStuck: false,
      open: () => call(() => this.#open(process)),
      setTimeoutSeconds: seconds =>
        call(() => {
          this.#timeoutMs = seconds * 1000
          this.#feed()
        }),
      timeoutSeconds: () => call(() => this.#timeoutMs / 1000),
      keepalive: () => call(() => this.#feed()),
      disarm: () =>
        call(() => {
          this.#holder = undefined
          this.#firesAtMs = undefined
        }),
    }
  }

  /** The machine starts anew. */
  reset(): void {
    this.#look?.cancel()
    this.#holder = undefined
    this.#firesAtMs = undefined
  }

  #open(process: Process): WatchdogInfo {
    if (this.#holder !== undefined && !this.#holder.isDead) throw new Error('the device is busy')
    this.#holder = process
    this.#feed()
    return { identity: 'simulated', canSetTimeout: true, canBeDisarmed: true }
  }

  #feed(): void {
    this.#firesAtMs = this.#machine.monotonicMs() + this.#timeoutMs
    this.#lookIn(this.#timeoutMs)
  }

  /** Instead of the look that was due: a timeout may have become shorter. */
  #lookIn(delayMs: number): void {
    this.#look?.cancel()
    const { scheduler } = this.#machine
    this.#look = scheduler.in(this.#machine.toWorldMs(delayMs), () =>
      this.#machine.whenAwake(() => this.#lookNow()),
    )
  }

  #lookNow(): void {
    if (this.#firesAtMs === undefined) return
    // The machine was suspended in between: its clock has not got there yet.
    const leftMs = this.#firesAtMs - this.#machine.monotonicMs()
    if (leftMs > 0) this.#lookIn(leftMs)
    else {
      this.reset()
      this.#onFired()
    }
  }
}
