// Connects to a server within a deadline.

import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Transport, Wire } from './relay/wire.ts'

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

export interface ConnectOptions {
  readonly timeoutMs: number
  /** Local address to connect from. */
  readonly source?: string | undefined
  /** Keepalive's first probe after this much silence; undefined: none. */
  readonly keepAliveMs?: number | undefined
  /** TCP_USER_TIMEOUT; undefined: the kernel's own patience. */
  readonly unackedMs?: number | undefined
  /** The client's wire, for a transport that must bring both together. */
  readonly beside?: Wire | undefined
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
  { timeoutMs, source, keepAliveMs = KEEPALIVE_DELAY_MS, unackedMs, beside }: ConnectOptions,
  listener: ConnectListener,
): Connecting {
  const dial = transport.dial(
    address,
    { source, keepAliveMs, unackedMs, beside },
    {
      onConnected: server => {
        timer.cancel()
        listener.onConnected(server)
      },
      onFailed: error => {
        timer.cancel()
        listener.onFailed(readFailure(error, timeoutMs))
      },
    },
  )
  const abort = () => {
    timer.cancel()
    dial.abort()
  }
  const timer = clock.setTimer(timeoutMs, () => {
    abort()
    listener.onFailed({
      why: `no connection within ${timeoutMs} ms`,
      isEvidence: true,
      pauseMs: SILENT_PAUSE_MS,
    })
  })
  return { abort }
}
