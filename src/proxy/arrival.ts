// What a session needs until it has its server, and no longer: most of its life it is idle, and there may be thousands.

import type { Timer } from '../platform/clock.ts'
import { Inlet, type InletListener } from './inlet.ts'
import type { Wire } from './relay/wire.ts'
import type { SessionHost } from './session-host.ts'
import type { FirstPacket } from './startup.ts'

export const NONE: ReadonlySet<string> = new Set()

export class Arrival {
  #tried: Set<string> | undefined
  #first: FirstPacket | undefined
  readonly #inlet: Inlet
  readonly #timer: Timer

  /** Begins to read; `onLate` when the first packet is not there in time. */
  constructor(client: Wire, listener: InletListener, host: SessionHost, onLate: () => void) {
    this.#timer = host.clock.setTimer(host.timeouts.loginMs, onLate)
    this.#inlet = new Inlet(client, listener, host.acceptsProxy)
  }

  get first(): FirstPacket | undefined {
    return this.#first
  }

  /** Servers that did not take it. */
  get tried(): ReadonlySet<string> {
    return this.#tried ?? NONE
  }

  noteTried(server: string): void {
    this.#tried ??= new Set()
    this.#tried.add(server)
  }

  /** All of them may be tried again. */
  forgetTried(): void {
    this.#tried = undefined
  }

  /** The first packet is there. */
  met(packet: FirstPacket): void {
    this.#first = packet
    this.#timer.cancel()
  }

  /** Stops reading; all bytes so far. The wire keeps the inlet as its listener until somebody else takes over. */
  release(): Buffer {
    this.#timer.cancel()
    return this.#inlet.release()
  }

  /** All bytes so far, for whoever becomes the wire's listener within this step. */
  handOver(): Buffer {
    this.#timer.cancel()
    return this.#inlet.handOver()
  }
}
