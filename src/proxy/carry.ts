// A session from the moment it has both of its wires: the relay, the look at its start, the watch for idle time.

import type { SessionTimeouts } from '../config/proxy/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { CutReason } from './cut-reason.ts'
import { type IdleReason, type IdleWatch, watchIdle } from './idle-watch.ts'
import type { Passage, Relay, RelayListener } from './relay/relay.ts'
import type { Wire } from './relay/wire.ts'
import { WireRelay } from './relay/wire-relay.ts'
import { SessionStart, type StartListener } from './session-start.ts'
import type { FirstPacket } from './startup.ts'

export interface CarryListener extends RelayListener, StartListener {
  /** Nothing moved for too long: told just before the relay is cut for it. */
  onIdle(why: IdleReason): void
}

/** A gate as a relay sees it, which may lie in memory that threads share. */
export interface SessionGate extends Passage {
  readonly closedBecause: { readonly reason: CutReason; readonly says: string } | undefined
}

export interface CarryOptions<G extends SessionGate = SessionGate> {
  readonly clock: Clock
  readonly timeouts: SessionTimeouts
  /** Is it for the leader alone? */
  readonly isWrite: boolean
  /** The client may be read already: whoever takes both sets its listener within this step. The server is not read. */
  readonly client: Wire
  readonly server: Wire
  readonly gate: G
  /** The name of its server. */
  readonly serverName: string
  readonly first: FirstPacket
  /** What the client has sent already, the first packet included. */
  readonly early: Buffer
  readonly listener: CarryListener
}

/** `idle` is undefined when there is nothing to watch, or when it is watched elsewhere. */
export interface Carried {
  readonly relay: Relay
  readonly idle: IdleWatch | undefined
}

/** Makes a session's relay, which has not begun yet. */
export type Carry = (options: CarryOptions<SessionGate & Shareable>) => Carried

/** What can be made known to other threads of this process. */
export interface Shareable {
  /** The memory in which it is from now on. `settle` is called after each closing. */
  share(settle: () => void): SharedArrayBuffer
}

/** In this thread. */
export function carryHere(options: CarryOptions): Carried {
  const { clock, timeouts, isWrite, client, server, gate, first, early, listener } = options
  const observer = new SessionStart(first, early, isWrite, listener)
  const relay = new WireRelay({ clock, client, server, passage: gate, observer, listener })
  return { relay, idle: watchIdle(clock, timeouts, relay, listener) }
}
