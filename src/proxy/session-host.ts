// What a session needs from its listener. One object for all sessions of a listener.

import type { ServerOptions, SessionTimeouts } from '../config/proxy/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import type { CancelKeys } from './cancel.ts'
import type { Carry } from './carry.ts'
import { type ConnectOptions, KEEPALIVE_DELAY_MS } from './connect.ts'
import type { HoldQueue } from './hold.ts'
import type { Choice } from './pool.ts'
import type { Transport, Wire } from './relay/wire.ts'
import type { Session } from './session.ts'

/** What is said of the server that a session goes to. */
export type Way = Pick<ServerOptions, 'sendProxy' | 'source'>

export interface SessionHost {
  readonly clock: Clock
  /** How connections to servers are made. */
  readonly transport: Transport
  /** How sessions move bytes between their two wires. */
  readonly carry: Carry
  readonly listener: string
  readonly timeouts: SessionTimeouts
  readonly plainErrors: boolean
  /** Is a client whose time in the queue is up just closed? */
  readonly closesSilently: boolean
  /** Are sessions of this listener for the leader alone? */
  readonly isWrite: boolean
  readonly acceptsProxy: boolean
  readonly keepAliveMs: number | undefined
  /** Connection attempts after the first for a session that may not wait in the queue. */
  readonly retries: number
  /** Sessions for whom there is no server. */
  readonly hold: HoldQueue<Session>
  /** Sessions whose servers are full. */
  readonly queue: HoldQueue<Session>
  readonly cancels: CancelKeys
  choose(session: Session): Choice
  wayTo(backend: Backend): Way
  /** Why there is no backend, for people. */
  explain(): string
  /** May this source come in? */
  admits(source: string | undefined): boolean
  cancel(processId: number, secret: string, source: string): Promise<void>
  /** The server itself refused or could not be reached: evidence at once. */
  onRefused(backend: Backend, why: string): void
  /** A connection failed on this host, which says nothing about the server. */
  onLocalFailure(why: string): void
  onConnected(backend: Backend): void
  onHeld(): void
  /** It takes no place of the listener's limit any more. */
  onDraining(session: Session): void
  onEnded(session: Session, why: string): void
}

/** How a session of this listener connects to `backend`. */
export function connectOptions(host: SessionHost, backend: Backend, beside: Wire): ConnectOptions {
  const { timeouts, keepAliveMs = KEEPALIVE_DELAY_MS } = host
  const { source } = host.wayTo(backend)
  return {
    timeoutMs: timeouts.connectMs,
    source,
    keepAliveMs,
    unackedMs: timeouts.serverUnackedMs,
    beside,
  }
}
