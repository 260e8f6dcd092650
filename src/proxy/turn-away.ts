// Clients that get no session, beyond a limit or at a stop: they are told so. Beyond a limit a bounded number is told at a time;
// the rest is just closed. Cancel requests are still carried: a server takes them beyond its own limit, too, and they are how
// it gets room.

import type { Clock } from '../platform/clock.ts'
import { type FatalError, sqlState } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import { Inlet } from './inlet.ts'
import { shuttingDown } from './last-words.ts'
import { refuse } from './refusal.ts'
import type { ClosedListener, Wire } from './relay/wire.ts'
import type { FirstPacket } from './startup.ts'

/** Clients that may be told at the same time; more are just closed. */
export const REFUSALS_MAX = 64
const PACKET_MS = 2_000
/** Clients that come and go at a limit reach it all the time: it is told this seldom. */
const TELL_EVERY_MS = 10_000

/** Which limit leaves no place: the listener's own, or that of all listeners together. */
export type Limit = 'listener' | 'all'

export interface TurnAwayOptions {
  readonly clock: Clock
  readonly plainErrors: boolean
  readonly acceptsProxy: boolean
  /** May this source come in? Asked of those that a PROXY header tells; who comes himself was asked before. */
  admits(source: string): boolean
  /** Why there is no place, for the client. */
  detail(limit: Limit): string
  cancel(processId: number, secret: string, source: string): Promise<void>
  /** The limit was reached. Told once for many clients. */
  onFull(limit: Limit): void
}

export class TurnAway {
  readonly #options: TurnAwayOptions
  #refusals = 0
  readonly #toldAtMs = new Map<Limit, number>()

  constructor(options: TurnAwayOptions) {
    this.#options = options
  }

  /** How many are being told. */
  get size(): number {
    return this.#refusals
  }

  /** Becomes the listener of the wire within this step. */
  take(client: Wire, limit: Limit): void {
    this.#tell(limit)
    if (this.#refusals >= REFUSALS_MAX) client.destroy()
    else
      this.#take(client, () => ({
        code: sqlState.tooManyConnections,
        message: 'sorry, too many clients already',
        detail: this.#options.detail(limit),
      }))
  }

  /** The same for one that has no session yet when the proxy stops. So many come as were let in, and none after them. */
  takeAtStop(client: Wire, says: string): void {
    this.#take(client, () => shuttingDown(says))
  }

  #take(client: Wire, error: () => FatalError): void {
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
          this.#answer(client, first, { told, error }, next)
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
  #answer(
    wire: Wire,
    first: FirstPacket,
    { told, error }: { readonly told: string | undefined; readonly error: () => FatalError },
    next: ClosedListener,
  ): void {
    const { clock, plainErrors, cancel } = this.#options
    if (first.kind === 'cancel') {
      const source = told ?? wire.endpoints().source
      void cancel(first.processId, first.secret, source).then(() => sayFarewell({ clock, wire, next }))
      return
    }
    refuse({ clock, client: wire, first, error: error(), plainErrors, next })
  }

  #tell(limit: Limit): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - (this.#toldAtMs.get(limit) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return
    this.#toldAtMs.set(limit, nowMs)
    this.#options.onFull(limit)
  }
}
