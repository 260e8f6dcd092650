// Messages between machines: delay, loss, cuts in one direction or both. A message that meets a cut may still arrive
// when the cut is healed, as TCP repeats it: that is where late writes come from.

import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'

/** A repeated segment gives up after about this long. */
const REPEATED_FOR_MS = 20_000

interface Parked {
  readonly from: string
  readonly to: string
  readonly sinceMs: number
  readonly deliver: () => void
}

export class Network {
  readonly #scheduler: Scheduler
  readonly #random: Random
  /** How many cuts lie on a direction, by `from>to`. */
  readonly #cuts = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #parked: Parked[] = []
  /** One message's usual time on the way. */
  #latencyMs: readonly [number, number] = [0.1, 1.5]
  /** Share of messages that are lost and come only when they are repeated. */
  lossRate = 0
  /** Extra delay of messages to or from a machine. */
  readonly #slow = new Map<string, number>()

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler
    this.#random = random
  }

  /** Calls `listener` whenever a cut was made or healed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Does a message from `from` to `to` pass now? */
  passes(from: string, to: string): boolean {
    return from === to || !this.#cuts.has(`${from}>${to}`)
  }

  /** Do both directions pass? */
  connects(one: string, other: string): boolean {
    return this.passes(one, other) && this.passes(other, one)
  }

  send(from: string, to: string, deliver: () => void): void {
    if (!this.passes(from, to)) {
      this.#park({ from, to, sinceMs: this.#scheduler.nowMs, deliver })
      return
    }
    this.#scheduler.in(this.delayMs(from, to), () => {
      if (this.passes(from, to)) deliver()
      else this.#park({ from, to, sinceMs: this.#scheduler.nowMs, deliver })
    })
  }

  /** Makes a cut; the result heals it. */
  cut(pairs: readonly (readonly [string, string])[]): () => void {
    for (const [from, to] of pairs) this.#count(`${from}>${to}`, 1)
    this.#tell()
    let isHealed = false
    return () => {
      if (isHealed) return
      isHealed = true
      for (const [from, to] of pairs) this.#count(`${from}>${to}`, -1)
      this.#release()
      this.#tell()
    }
  }

  /** Adds up to `extraMs` to each message of a machine; the result ends it. */
  slowDown(machine: string, extraMs: number): () => void {
    this.#slow.set(machine, extraMs)
    return () => void this.#slow.delete(machine)
  }

  /** How long the next message from `from` to `to` takes. */
  delayMs(from: string, to: string): number {
    const [low, high] = this.#latencyMs
    const extraMs = Math.max(this.#slow.get(from) ?? 0, this.#slow.get(to) ?? 0)
    const usualMs = from === to ? 0.05 : this.#random.between(low, high)
    const slowMs = extraMs > 0 ? this.#random.between(0, extraMs) : 0
    const repeatedMs =
      this.lossRate > 0 && this.#random.chance(this.lossRate) ? this.#random.between(200, 1_600) : 0
    return usualMs + slowMs + repeatedMs
  }

  #park(message: Parked): void {
    // Half of the senders give their connection up before the cut is healed: then nothing comes.
    if (this.#random.chance(0.5)) this.#parked.push(message)
  }

  #release(): void {
    const nowMs = this.#scheduler.nowMs
    const waiting = this.#parked
    this.#parked = []
    for (const message of waiting) {
      if (nowMs - message.sinceMs > REPEATED_FOR_MS) continue
      if (!this.passes(message.from, message.to)) this.#parked.push(message)
      else this.#scheduler.in(this.#random.between(1, 1_500), message.deliver)
    }
  }

  #count(direction: string, by: number): void {
    const count = (this.#cuts.get(direction) ?? 0) + by
    if (count > 0) this.#cuts.set(direction, count)
    else this.#cuts.delete(direction)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
