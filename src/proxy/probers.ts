// One prober for each member, started and stopped as members come, go and move.

import type { ProbeResult } from '../health/document.ts'
import { HttpProbe, originOf, type ProbeTlsNow } from '../health/probe.ts'
import { Prober, type ProbeSchedule } from '../health/prober.ts'
import type { Clock } from '../platform/clock.ts'
import type { RosterMember } from './roster.ts'

export interface ProbersOptions {
  readonly clock: Clock
  readonly schedule: ProbeSchedule
  readonly tls?: ProbeTlsNow
  onResult(member: string, result: ProbeResult): void
  isHurried(member: string): boolean
  isDown?(member: string): boolean
}

export class Probers {
  readonly #options: ProbersOptions
  readonly #probers = new Map<string, { readonly origin: string; readonly prober: Prober }>()
  readonly #stopping = new Set<Promise<void>>()

  constructor(options: ProbersOptions) {
    this.#options = options
  }

  /** Makes the probers fit the members. A member that moved is probed at its new address at once. */
  follow(members: ReadonlyMap<string, RosterMember>): void {
    for (const [name, { origin }] of this.#probers) {
      if (originOf(members.get(name)?.apiUrl) !== origin) this.#stop(name)
    }
    for (const { name, apiUrl } of members.values()) {
      const origin = originOf(apiUrl)
      if (origin !== undefined && !this.#probers.has(name)) this.#start(name, origin)
    }
  }

  /** Asks this member within `delayMs`. */
  kick(member: string, delayMs: number): void {
    this.#probers.get(member)?.prober.kick(delayMs)
  }

  /** Stops all and waits for their connections to be gone. */
  async close(): Promise<void> {
    for (const name of [...this.#probers.keys()]) this.#stop(name)
    await Promise.all(this.#stopping)
  }

  #start(name: string, origin: string): void {
    const { clock, schedule, tls } = this.#options
    const prober = new Prober(clock, new HttpProbe(clock, origin, tls), schedule, {
      onResult: result => this.#options.onResult(name, result),
      isHurried: () => this.#options.isHurried(name),
      isDown: () => this.#options.isDown?.(name) === true,
    })
    this.#probers.set(name, { origin, prober })
    prober.start()
  }

  #stop(name: string): void {
    const entry = this.#probers.get(name)
    this.#probers.delete(name)
    if (entry === undefined) return
    const stopped = entry.prober.stop().finally(() => this.#stopping.delete(stopped))
    this.#stopping.add(stopped)
  }
}
