// Clients beyond a limit: they are told so, a bounded number at a time; the rest is just closed. Cancel requests are
// still carried: a server takes them beyond its own limit, too, and they are how a full server gets room.

import type { Clock } from '../platform/clock.ts'
import { type FatalError, sqlState } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import { Inlet } from './inlet.ts'
import { refuse } from './refusal.ts'
import type { ClosedListener, Wire } from './relay/wire.ts'
import type { FirstPacket } from './startup.ts'

/** Clients that may be told at the same time; more are just closed. */
export const REFUSALS_MAX = 64
const PACKET_MS = 2_000
/** The limit is reached anew when so much of it was free in between, or this much later. */
const FREE_AGAIN = 0.9
const TELL_EVERY_MS = 10_000

export interface TurnAwayOptions {
  readonly clock: Clock
  readonly plainErrors: boolean
  readonly acceptsProxy: boolean
  /** May this source come in? Asked of those that a PROXY header tells; who comes himself was asked before. */
  admits(source: string): boolean
  /** Why there is no place, for the client. */
  detail(): string
  cancel(processId: number, secret: string, source: string): Promise<void>
  /** The limit was reached: once for each time, not for each client. */
  onFull(): void
}

export class TurnAway {
  readonly #options: TurnAwayOptions
  #refusals = 0
  #isFull = false
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(options: TurnAwayOptions) {
    this.#options = options
  }

  /** So many of `max` places are taken: below a part of it the limit counts as free again. */
  noteLoad(taken: number, max: number): void {
    if (taken < max * FREE_AGAIN) this.#isFull = false
  }

  /** The client must not read yet. */
  take(client: Wire): void {
    this.#tell()
    if (this.#refusals >= REFUSALS_MAX) {
      client.destroy()
      return
    }
    this.#refusals += 1
    const { clock, acceptsProxy } = this.#options
    const timer = clock.setTimer(PACKET_MS, () => client.destroy())
    const next = {
      onClosed: () => {
        timer.cancel()
        this.#refusals -= 1
      },
    }
    let told: string | undefined
    const inlet = new Inlet(
      client,
      {
        ...next,
        onPacket: first => {
          timer.cancel()
          inlet.release()
          this.#answer(client, first, told, next)
        },
        onGone: () => client.destroy(),
        onHeader: endpoints => {
          told = endpoints?.source
          if (this.#options.admits(told ?? client.endpoints().source)) return true
          client.destroy()
          return false
        },
        onNoHeader: () => client.destroy(),
      },
      acceptsProxy,
    )
  }

  /** `told`: the source of a PROXY header; undefined: the client came itself. */
  #answer(wire: Wire, first: FirstPacket, told: string | undefined, next: ClosedListener): void {
    const { clock, plainErrors, cancel, detail } = this.#options
    if (first.kind === 'cancel') {
      const source = told ?? wire.endpoints().source
      void cancel(first.processId, first.secret, source).then(() => sayFarewell({ clock, wire, next }))
      return
    }
    const error: FatalError = {
      code: sqlState.tooManyConnections,
      message: 'sorry, too many clients already',
      detail: detail(),
    }
    refuse({ clock, client: wire, first, error, plainErrors, next })
  }

  #tell(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#isFull && nowMs - this.#toldAtMs < TELL_EVERY_MS) return
    const isNew = !this.#isFull || nowMs - this.#toldAtMs >= TELL_EVERY_MS
    this.#isFull = true
    if (!isNew) return
    this.#toldAtMs = nowMs
    this.#options.onFull()
  }
}
