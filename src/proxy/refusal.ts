// Tells a client why it gets no server, in a way that its driver understands.

import type { Clock } from '../platform/clock.ts'
import { type FatalError, printFatal } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import { Inlet } from './inlet.ts'
import type { ClosedListener, Wire } from './relay/wire.ts'
import type { FirstPacket } from './startup.ts'

/** A client that was told `N` sends its next packet within this time or is closed. */
const NEXT_PACKET_MS = 1000
/** An encryption request and its answer, and one more of each: GSS, then TLS. */
const ENCRYPTION_REQUESTS_MAX = 2
const NO_ENCRYPTION = Buffer.from('N')

export interface RefusalOptions {
  readonly clock: Clock
  readonly client: Wire
  /** What the client sent first; its bytes have been read. */
  readonly first: FirstPacket
  readonly error: FatalError
  /** May a client that asked for encryption be answered in clear text? Otherwise it is just closed. */
  readonly plainErrors: boolean
  /** Told when the client is gone. */
  readonly next: ClosedListener
}

/** Sends the error and closes. Never leaves the socket open longer than a few seconds. */
export function refuse(options: RefusalOptions): void {
  refuseStep(options, options.first, ENCRYPTION_REQUESTS_MAX)
}

function refuseStep(options: RefusalOptions, packet: FirstPacket, requestsLeft: number): void {
  const { clock, client: wire, error, plainErrors, next } = options
  if (packet.kind === 'startup' || packet.kind === 'garbage') {
    sayFarewell({ clock, wire, lastWords: printFatal(error), next })
    return
  }
  const asksForEncryption = packet.kind === 'ssl-request' || packet.kind === 'gss-request'
  if (!asksForEncryption || !plainErrors || requestsLeft === 0) {
    sayFarewell({ clock, wire, next })
    return
  }
  const timer = clock.setTimer(NEXT_PACKET_MS, () => {
    inlet.release()
    sayFarewell({ clock, wire, next })
  })
  const inlet = new Inlet(wire, {
    onPacket: second => {
      timer.cancel()
      inlet.release()
      refuseStep(options, second, requestsLeft - 1)
    },
    onGone: () => {
      timer.cancel()
      wire.destroy()
    },
    onClosed: () => next.onClosed(),
  })
  wire.write(NO_ENCRYPTION)
}
