// How a session moves bytes. A session does not know which relay carries it.

import type { Clock } from '../../platform/clock.ts'
import type { Wire } from './wire.ts'

/** Which side closed its direction first, in order; the other direction goes on. */
export type HalfClose = 'client-closed' | 'server-closed'

/** Why a relay ended otherwise than by both sides closing. `thread-ended`: the thread that it ran in died with its wires. */
export type RelayEnd = 'client-reset' | 'server-reset' | 'gate-closed' | 'refused' | 'cut' | 'thread-ended'

/**
 * `cut`: nothing more passes, the client gets the last words (if the
 * stream allows them) and FIN, the server a reset, so that none of its processes is left with a connection of ours.
 * `reset`: RST to both.
 */
export type CloseKind = 'cut' | 'reset'

export interface RelayCounters {
  readonly toServerBytes: number
  readonly toClientBytes: number
  /** Monotonic time of the last byte in either direction. */
  readonly lastActivityMs: number
  /** Were the last bytes the client's? */
  readonly isUnanswered: boolean
}

/** Asked for every piece of data before it is forwarded; false means that nothing may pass any more. */
export interface Passage {
  isOpen(nowMs: number): boolean
}

/** Sees the bytes of a connection's start, which it may not keep: they are overwritten afterwards. `fromServer` returns false to stop that piece and the session. */
export interface Observer {
  fromClient(chunk: Buffer): void
  fromServer(chunk: Buffer): boolean
  /** True as soon as there is nothing more to see: the relay then drops its observer. */
  isOver(): boolean
  /** Can the proxy put in a message before the next byte of the server? Asked while the observer is in place. */
  isAtBoundary(): boolean
  /** Asked once, when the observer is dropped: is the rest of the stream clear text? */
  isClear(): boolean
}

export interface RelayListener {
  onHalfClosed(why: HalfClose): void
  /** The first thing that ended it out of order; told once at most, before `onRelayClosed`. */
  onEnding(why: RelayEnd): void
  /** Both connections are closed; told once. */
  onRelayClosed(): void
}

export interface RelayOptions {
  readonly clock: Clock
  /** It may be read already; `start` follows within the step. The server is not read yet. */
  readonly client: Wire
  readonly server: Wire
  readonly passage: Passage
  readonly observer: Observer
  readonly listener: RelayListener
}

export interface Relay {
  /** Begins to move bytes; `early` is what the client has sent already. */
  start(early: Buffer): void
  counters(): RelayCounters
  /** Is the session known to be idle: clear text, the server said so last, and nothing was asked since? */
  isIdle(): boolean
  /**
   * While it is on, the client is not read between its transactions: what it sends next stays with the kernel until this
   * is taken back or the session ends. For clear text alone; in an encrypted stream nobody knows what is idle.
   */
  holdWhenIdle(isOn: boolean): void
  /**
   * Ends the relay; calls after the first do nothing. `onDone` is called in any case, when nothing passes any more and the
   * client's end is under way: before this returns, or, where a thread moves the bytes, at that thread's word.
   */
  close(kind: CloseKind, lastWords?: Buffer, onDone?: () => void): void
  /** The same as a cut, unless the session is not known to be idle at that moment. */
  closeIfIdle(lastWords: Buffer): void
}
