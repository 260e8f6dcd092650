// Clients beyond a limit: they are told so, a bounded number at a time; the rest is just closed. Cancel requests are
// still carried: a server takes them beyond its own limit, too, and they are how a full server gets room.

import type { Socket } from 'node:net'
import type { Clock } from '../platform/clock.ts'
import { type FatalError, sqlState } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import { Inlet } from './inlet.ts'
import { refuse } from './refusal.ts'

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

  take(client: Socket): void {
    this.#tell()
    client.on('error', () => {})
    if (this.#refusals >= REFUSALS_MAX) {
      client.destroy()
      return
    }
    this.#refusals += 1
    const { clock, acceptsProxy } = this.#options
    const timer = clock.setTimer(PACKET_MS, () => client.destroy())
    client.once('close', () => {
      timer.cancel()
      this.#refusals -= 1
    })
    let source = client.remoteAddress ?? ''
    const inlet = new Inlet(
      client,
      {
        onPacket: first => {
          timer.cancel()
          inlet.release()
          this.#answer(client, first, source)
        },
        onGone: () => client.destroy(),
        onHeader: endpoints => {
          source = endpoints?.source ?? source
          if (this.#options.admits(source)) return true
          client.destroy()
          return false
        },
        onNoHeader: () => client.destroy(),
      },
      acceptsProxy,
    )
  }

  #answer(client: Socket, first: Parameters<typeof refuse>[0]['first'], source: string): void {
    const { clock, plainErrors, cancel, detail } = this.#options
    if (first.kind === 'cancel') {
      void cancel(first.processId, first.secret, source).then(() => sayFarewell(clock, client, undefined))
      client.resume()
      return
    }
    const error: FatalError = {
      code: sqlState.tooManyConnections,
      message: 'sorry, too many clients already',
      detail: detail(),
    }
    refuse({ clock, client, first, error, plainErrors })
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
