// Cancel requests: which backend holds the session that a key belongs to, and carrying the request there.

import { connect } from 'node:net'
import type { Clock } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import { cancelKeyOf } from './handshake.ts'
import { printCancel } from './startup.ts'

/** PostgreSQL answers a cancel request by closing; it gets this long. */
const CANCEL_MS = 5000

/** Keys of live clear-text sessions. Bounded by the number of sessions. */
export class CancelKeys {
  readonly #backends = new Map<string, Backend>()

  add(key: string, backend: Backend): void {
    this.#backends.set(key, backend)
  }

  delete(key: string): void {
    this.#backends.delete(key)
  }

  find(processId: number, secret: string): Backend | undefined {
    return this.#backends.get(cancelKeyOf(processId, secret))
  }

  get size(): number {
    return this.#backends.size
  }
}

/**
 * Sends a cancel request to each backend and waits until each has closed or 5 s are over. Servers ignore keys that are
 * not theirs. Never rejects: nobody is told how a cancel request went. A backend whose gate is closed gets none: a
 * cancelled wait for a synchronous standby would acknowledge a commit that only this server has.
 */
export async function forwardCancel(
  clock: Clock,
  backends: readonly Backend[],
  processId: number,
  secret: string,
): Promise<void> {
  const packet = printCancel(processId, secret)
  await Promise.all(
    backends.filter(backend => backend.gate.isOpen()).map(backend => deliver(clock, backend, packet)),
  )
}

function deliver(clock: Clock, backend: Backend, packet: Buffer): Promise<void> {
  return new Promise(resolve => {
    const socket = connect({ ...backend.address, noDelay: true })
    const timer = clock.setTimer(CANCEL_MS, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => {
      timer.cancel()
      resolve()
    })
    socket.on('connect', () => {
      if (backend.gate.isOpen()) socket.write(packet)
      else socket.destroy()
    })
    socket.resume()
  })
}
