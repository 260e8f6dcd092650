// Connects to a server within a deadline.

import { connect, type Socket } from 'node:net'
import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { setUserTimeout } from './tcp-user-timeout.ts'

/** TCP keepalive: the first probe after this much silence. */
export const KEEPALIVE_DELAY_MS = 30_000

export interface ConnectFailure {
  readonly why: string
  /** Does it say something about the server? A failure of this host (no port, no descriptor, no name) does not. */
  readonly isEvidence: boolean
}

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
export function readFailure(error: unknown): ConnectFailure {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return { why: messageOf(error), isEvidence: EVIDENCE.includes(code) }
}

export interface ConnectOptions {
  readonly timeoutMs: number
  /** Local address to connect from. */
  readonly source?: string | undefined
  /** Keepalive's first probe after this much silence; undefined: none. */
  readonly keepAliveMs?: number | undefined
  /** TCP_USER_TIMEOUT; undefined: the kernel's own patience. */
  readonly unackedMs?: number | undefined
}

/** Exactly one of the two is called, once, unless the attempt is aborted. */
export interface ConnectListener {
  /** The socket is paused, has no listeners of ours left, and belongs to the receiver. */
  onConnected(server: Socket): void
  onFailed(failure: ConnectFailure): void
}

/** An attempt under way. `abort` after the end does nothing. */
export interface Connecting {
  abort(): void
}

/** Begins to connect. */
export function connectTo(
  clock: Clock,
  address: HostPort,
  { timeoutMs, source, keepAliveMs = KEEPALIVE_DELAY_MS, unackedMs }: ConnectOptions,
  listener: ConnectListener,
): Connecting {
  const socket = connect({
    ...address,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    ...(source === undefined ? {} : { localAddress: source }),
  })
  let isOver = false
  const finish = (then: () => void) => {
    if (isOver) return
    isOver = true
    timer.cancel()
    then()
  }
  const fail = (failure: ConnectFailure) =>
    finish(() => {
      socket.destroy()
      listener.onFailed(failure)
    })
  const timer = clock.setTimer(timeoutMs, () =>
    fail({ why: `no connection within ${timeoutMs} ms`, isEvidence: true }),
  )
  // Stays in place: an error after an abort must not end the process.
  socket.on('error', error => fail(readFailure(error)))
  socket.once('connect', () =>
    finish(() => {
      setUserTimeout(socket, unackedMs)
      listener.onConnected(socket)
    }),
  )
  return { abort: () => finish(() => socket.destroy()) }
}
