// Connects to a server within a deadline.

import type { HostPort } from '../cluster/member.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Dial, DialListener, DialOptions, Transport, Wire } from './relay/wire.ts'

/** TCP keepalive: the first probe after this much silence. */
export const KEEPALIVE_DELAY_MS = 30_000

export interface ConnectFailure {
  readonly why: string
  /** Does it say something about the server? A failure of this host (no port, no descriptor, no name) does not. */
  readonly isEvidence: boolean
  /** The same server is left alone for so long. */
  readonly pauseMs: number
}

/** One that refused most likely goes on refusing. */
const PAUSE_MS_MAX = 1000
/** One that said nothing has been waited for: its checks, which are hurried now, get the time to speak for it. */
const SILENT_PAUSE_MS = 250

/** Of the time to connect: a name that is not found by then is a failure of this host, told as that. */
const LOOK_UP_SHARE = 0.75

/** What the network or the server itself answers; everything else fails on this host. */
const EVIDENCE: readonly string[] = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
]

/** What a failed connection to a server means. */
function readFailure(error: unknown, timeoutMs: number): ConnectFailure {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const pauseMs = Math.min(timeoutMs, PAUSE_MS_MAX)
  return { why: messageOf(error), isEvidence: EVIDENCE.includes(code), pauseMs }
}

export interface ConnectOptions extends DialOptions {
  readonly timeoutMs: number
}

/** Exactly one of the two is called, once, unless the attempt is aborted. */
export interface ConnectListener {
  /** The wire does not read yet and belongs to the receiver. */
  onConnected(server: Wire): void
  onFailed(failure: ConnectFailure): void
}

/** An attempt under way. `abort` after the end does nothing. */
export interface Connecting {
  abort(): void
}

/** Begins to connect. */
export function connectTo(
  clock: Clock,
  transport: Transport,
  address: HostPort,
  options: ConnectOptions,
  listener: ConnectListener,
): Connecting {
  return new Attempt(clock, transport, address, options, listener)
}

class Attempt implements Connecting, DialListener {
  readonly #timeoutMs: number
  readonly #listener: ConnectListener
  readonly #dial: Dial
  readonly #timer: Timer

  constructor(
    clock: Clock,
    transport: Transport,
    address: HostPort,
    options: ConnectOptions,
    listener: ConnectListener,
  ) {
    this.#timeoutMs = options.timeoutMs
    this.#listener = listener
    this.#dial = transport.dial(address, { ...options, lookUpMs: options.timeoutMs * LOOK_UP_SHARE }, this)
    this.#timer = clock.setTimer(options.timeoutMs, () => this.#onLate())
  }

  abort(): void {
    this.#timer.cancel()
    this.#dial.abort()
  }

  onConnected(server: Wire): void {
    this.#timer.cancel()
    this.#listener.onConnected(server)
  }

  onFailed(error: NodeJS.ErrnoException): void {
    this.#timer.cancel()
    this.#listener.onFailed(readFailure(error, this.#timeoutMs))
  }

  #onLate(): void {
    this.abort()
    const why = `no connection within ${this.#timeoutMs} ms`
    this.#listener.onFailed({ why, isEvidence: true, pauseMs: SILENT_PAUSE_MS })
  }
}
