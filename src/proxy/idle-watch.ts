// Ends sessions in which nothing moves for longer than their listener allows. One timer a session, armed anew only when
// it fires: a busy session costs nothing.

import type { SessionTimeouts } from '../config/proxy/types.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { printFatal } from './error-response.ts'
import { idleError } from './last-words.ts'
import type { Relay } from './relay/relay.ts'

export type IdleReason = 'client-timeout' | 'server-timeout' | 'half-closed-timeout'

/** Told before the relay is closed. */
export interface IdleListener {
  onIdle(why: IdleReason): void
}

/** Cuts a relay when its time is up. One in every session: it keeps no closures but its timer's. */
export class IdleWatch {
  readonly #clock: Clock
  readonly #timeouts: SessionTimeouts
  readonly #relay: Relay
  readonly #listener: IdleListener
  #timer: Timer | undefined
  #isHalfClosed = false

  constructor(clock: Clock, timeouts: SessionTimeouts, relay: Relay, listener: IdleListener) {
    this.#clock = clock
    this.#timeouts = timeouts
    this.#relay = relay
    this.#listener = listener
    this.#arm()
  }

  /** One direction is closed: from now on the limits for that count. */
  onHalfClosed(): void {
    this.#isHalfClosed = true
    this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** The shortest limit that holds now, and which it is. */
  #limit(): { readonly why: IdleReason; readonly limitMs: number } | undefined {
    const { clientMs, serverMs, clientFinMs, serverFinMs } = this.#timeouts
    const finMs = leastOf(clientFinMs, serverFinMs)
    if (this.#isHalfClosed && finMs !== undefined) return { why: 'half-closed-timeout', limitMs: finMs }
    const limitMs = leastOf(clientMs, serverMs)
    if (limitMs === undefined) return undefined
    return { why: limitMs === clientMs ? 'client-timeout' : 'server-timeout', limitMs }
  }

  #arm(): void {
    this.stop()
    const limit = this.#limit()
    if (limit === undefined) return
    const leftMs = this.#relay.counters().lastActivityMs + limit.limitMs - this.#clock.monotonicMs()
    this.#timer = this.#clock.setTimer(Math.ceil(Math.max(1, leftMs)), () => this.#look())
  }

  #look(): void {
    const limit = this.#limit()
    if (limit === undefined) return
    const quietMs = this.#clock.monotonicMs() - this.#relay.counters().lastActivityMs
    if (quietMs < limit.limitMs) {
      this.#arm()
      return
    }
    this.#listener.onIdle(limit.why)
    this.#relay.close('cut', printFatal(idleError(limit.limitMs)))
  }
}

/** Watches a relay, if there is a limit to watch. */
export function watchIdle(
  clock: Clock,
  timeouts: SessionTimeouts,
  relay: Relay,
  listener: IdleListener,
): IdleWatch | undefined {
  const { clientMs, serverMs, clientFinMs, serverFinMs } = timeouts
  const limits = [clientMs, serverMs, clientFinMs, serverFinMs]
  if (limits.every(limitMs => limitMs === undefined)) return undefined
  return new IdleWatch(clock, timeouts, relay, listener)
}

function leastOf(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.min(a, b)
}
