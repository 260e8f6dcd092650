// Announces addresses again and again while they are held: a burst at once, another after five seconds for whoever missed it,
// then every minute.

import type { Clock, Timer } from '../platform/clock.ts'
import type { VipAddress } from './addresses.ts'
import { announceOnce } from './neighbourhood.ts'
import type { Link } from './rtnetlink.ts'

/** When announcements follow the first one. Spread, so that a port of a switch that still learns does not lose them all. */
const BURST_MS = [0, 10, 50, 200, 500]
const SECOND_BURST_MS = 5_000
const REFRESH_MS = 60_000

const schedule = [...BURST_MS, ...BURST_MS.map(ms => ms + SECOND_BURST_MS)]

export class Announcer {
  readonly #clock: Clock
  readonly #places: () => readonly { readonly link: Link; readonly vip: VipAddress }[]
  #timer: Timer | undefined
  #startedAtMs = 0
  #next = 0

  constructor(clock: Clock, places: () => readonly { readonly link: Link; readonly vip: VipAddress }[]) {
    this.#clock = clock
    this.#places = places
  }

  /** Begins anew; the first announcement has left when this returns. */
  start(): void {
    this.stop()
    this.#startedAtMs = this.#clock.monotonicMs()
    this.#next = 0
    this.#step()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #step(): void {
    try {
      for (const { link, vip } of this.#places()) announceOnce(link, vip)
    } catch {
      // The links cannot be read now. It is tried again in a moment, and this timer must not end the process.
    }
    this.#next += 1
    const beyond = this.#next - schedule.length
    const dueMs = schedule[this.#next] ?? SECOND_BURST_MS + (beyond + 1) * REFRESH_MS
    const delayMs = this.#startedAtMs + dueMs - this.#clock.monotonicMs()
    this.#timer = this.#clock.setTimer(delayMs, () => this.#step())
  }
}
