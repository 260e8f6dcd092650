// Asks servers themselves whether they take connections, only while something is in doubt: a new leader, a failed
// connection, a REST server that is silent. Each question is one line in no log of the server that accepts it.

import type { HostPort } from '../cluster/member.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { ping } from '../postgres/ping.ts'
import type { Ping } from './route.ts'

export interface PingerOptions {
  readonly clock: Clock
  readonly user: string
  /** Between two questions to one server. */
  readonly everyMs: number
  readonly timeoutMs: number
  addressOf(member: string): HostPort | undefined
  onPing(member: string, ping: Ping): void
}

export class Pinger {
  readonly #options: PingerOptions
  readonly #busy = new Set<string>()
  readonly #nextAtMs = new Map<string, number>()
  readonly #timers = new Map<string, Timer>()
  #isStopped = false

  constructor(options: PingerOptions) {
    this.#options = options
  }

  /** Asks now, or as soon as the server may be asked again. */
  want(member: string): void {
    if (this.#isStopped || this.#busy.has(member) || this.#timers.has(member)) return
    const waitMs = (this.#nextAtMs.get(member) ?? 0) - this.#options.clock.monotonicMs()
    if (waitMs <= 0) {
      this.#ask(member)
      return
    }
    const timer = this.#options.clock.setTimer(waitMs, () => {
      this.#timers.delete(member)
      this.#ask(member)
    })
    this.#timers.set(member, timer)
  }

  /** Asks at once, whenever it was asked last: its answer of before no longer counts. */
  forget(member: string): void {
    this.#nextAtMs.delete(member)
    this.#timers.get(member)?.cancel()
    this.#timers.delete(member)
  }

  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #ask(member: string): void {
    const { clock, user, everyMs, timeoutMs, addressOf, onPing } = this.#options
    const address = addressOf(member)
    if (this.#isStopped || address === undefined) return
    const sentAtMs = clock.monotonicMs()
    this.#busy.add(member)
    this.#nextAtMs.set(member, sentAtMs + everyMs)
    // `ping` never rejects, by its contract.
    void ping(address, user, Deadline.in(clock, timeoutMs)).then(answer => {
      this.#busy.delete(member)
      if (!this.#isStopped) onPing(member, { answer, sentAtMs })
    })
  }
}
