// Cancel requests: which backend holds the session that a key belongs to, and carrying the request there.

import { connect } from 'node:net'
import type { Clock } from '../platform/clock.ts'
import type { Backend, Gate } from './backend.ts'
import { cancelKeyOf } from './handshake.ts'
import { printProxyHeader } from './proxy-protocol.ts'
import type { Way } from './session-host.ts'
import { printCancel } from './startup.ts'

/** PostgreSQL answers a cancel request by closing; it gets this long. */
const CANCEL_MS = 5000
/** Connections of one listener's cancel requests at once: so many descriptors are kept free for them. */
export const CANCELS_MAX = 100
/** Requests with a key that nobody knows go to every server; they leave room for the others. */
const UNKNOWN_MAX = 50

/** Who gave out a key. */
export interface KeyHolder {
  readonly backend: Backend
  readonly gate: Gate
}

/** Keys of live clear-text sessions. Bounded by the number of sessions. */
export class CancelKeys {
  readonly #holders = new Map<string, KeyHolder>()

  /** `gate` is that of the term in which the session began: when it ends, its keys reach nobody any more. */
  add(key: string, backend: Backend, gate: Gate): void {
    this.#holders.set(key, { backend, gate })
  }

  delete(key: string): void {
    this.#holders.delete(key)
  }

  find(processId: number, secret: string): KeyHolder | undefined {
    return this.#holders.get(cancelKeyOf(processId, secret))
  }

  get size(): number {
    return this.#holders.size
  }
}

/** The cancel requests of one listener that are on their way: a frozen server keeps each of them for five seconds. */
export class CancelRequests {
  readonly #clock: Clock
  #open = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Sends a cancel request to each backend and waits until each has closed or 5 s are over. Servers ignore keys that are
   * not theirs. Never rejects: nobody is told how a cancel request went. A backend whose gate is closed gets none: a
   * cancelled wait for a synchronous standby would acknowledge a commit that only this server has. False: too many
   * connections are open for others, and this request was dropped.
   */
  async forward(
    targets: readonly CancelTarget[],
    isKnown: boolean,
    processId: number,
    secret: string,
  ): Promise<boolean> {
    const packet = printCancel(processId, secret)
    const open = targets.filter(({ gate }) => gate.isOpen())
    // One that finds nothing in its way goes, however many servers there are.
    if (this.#open > 0 && this.#open + open.length > (isKnown ? CANCELS_MAX : UNKNOWN_MAX)) return false
    await Promise.all(open.map(target => this.#deliver(target, packet)))
    return true
  }

  async #deliver(target: CancelTarget, packet: Buffer): Promise<void> {
    this.#open += 1
    try {
      await deliver(this.#clock, target, packet)
    } finally {
      this.#open -= 1
    }
  }
}

/** A server that a cancel request goes to, and how its connections are made. */
export interface CancelTarget {
  readonly backend: Backend
  readonly gate: Gate
  readonly way: Way
}

function deliver(clock: Clock, { backend, gate, way }: CancelTarget, packet: Buffer): Promise<void> {
  return new Promise(resolve => {
    const { source, sendProxy } = way
    const local = source === undefined ? {} : { localAddress: source }
    const socket = connect({ ...backend.address, noDelay: true, ...local })
    const timer = clock.setTimer(CANCEL_MS, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => {
      timer.cancel()
      resolve()
    })
    socket.on('connect', () => {
      if (!gate.isOpen()) {
        socket.destroy()
        return
      }
      // The request speaks for nobody: the server matches it by its key.
      if (sendProxy !== undefined) socket.write(printProxyHeader(sendProxy, undefined))
      socket.write(packet)
    })
    socket.resume()
  })
}
