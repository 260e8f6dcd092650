// Connects to a server within a deadline.

import { connect, type Socket } from 'node:net'
import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'

/** TCP keepalive: the first probe after this much silence. */
export const KEEPALIVE_DELAY_MS = 30_000

/** Exactly one of the two is called, once, unless the attempt is aborted. */
export interface ConnectListener {
  /** The socket is paused, has no listeners of ours left, and belongs to the receiver. */
  onConnected(server: Socket): void
  onFailed(why: string): void
}

/** An attempt under way. `abort` after the end does nothing. */
export interface Connecting {
  abort(): void
}

/** Begins to connect. */
export function connectTo(
  clock: Clock,
  address: HostPort,
  timeoutMs: number,
  listener: ConnectListener,
): Connecting {
  const socket = connect({
    ...address,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
  })
  let isOver = false
  const finish = (then: () => void) => {
    if (isOver) return
    isOver = true
    timer.cancel()
    then()
  }
  const fail = (why: string) =>
    finish(() => {
      socket.destroy()
      listener.onFailed(why)
    })
  const timer = clock.setTimer(timeoutMs, () => fail(`no connection within ${timeoutMs} ms`))
  // Stays in place: an error after an abort must not end the process.
  socket.on('error', error => fail(messageOf(error)))
  socket.once('connect', () => finish(() => listener.onConnected(socket)))
  return { abort: () => finish(() => socket.destroy()) }
}
