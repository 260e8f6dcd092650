// A server that sessions go to, and the gate that every byte to or from it passes.

import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'

/**
 * Open until a monotonic deadline. The relay asks it for each piece of data: timers are late after a pause of the
 * process, this question is not, so a thawed proxy forwards nothing under evidence that ended while it slept.
 */
export class Gate {
  readonly #clock: Clock
  /** Infinity for servers that no epoch binds (replicas). */
  untilMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isOpen(): boolean {
    return this.untilMs === Number.POSITIVE_INFINITY || this.#clock.monotonicMs() < this.untilMs
  }
}

/** Why sessions of a backend are ended by the proxy. */
export type CutReason =
  | 'newer-epoch'
  | 'evidence-expired'
  | 'store-restored'
  | 'proxy-stops'
  | 'standby-answered'

/** Something that occupies a backend and can be ended. */
export interface Cuttable {
  /**
   * Ends it at once: afterwards no byte passes in either direction. `says` is for the client. False: it had not begun
   * yet (it was connecting) and looks for another place.
   */
  cut(reason: CutReason, says: string): boolean
}

/** One server. The object lives as long as its member is known; its address may change. */
export class Backend {
  readonly name: string
  readonly gate: Gate
  readonly sessions = new Set<Cuttable>()
  address: HostPort
  /** Sessions ever started here. */
  startedTotal = 0
  connectFailuresTotal = 0

  constructor(name: string, address: HostPort, clock: Clock) {
    this.name = name
    this.address = address
    this.gate = new Gate(clock)
  }

  /** Cuts every session, those still connecting included; returns how many had begun. */
  cutAll(reason: CutReason, says: string): number {
    let begun = 0
    for (const session of [...this.sessions]) {
      if (session.cut(reason, says)) begun += 1
    }
    return begun
  }
}
