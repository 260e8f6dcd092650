// An attempt to connect to a server that is given by name: looks it up and dials its addresses in turn. Opens no socket itself.

import { isIP } from 'node:net'
import type { HostPort } from '../../cluster/member.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { Names, Search, Seeker } from './names.ts'
import type { Dial, DialListener, DialOptions, Transport, Wire } from './wire.ts'

/** An address that says nothing is not given up, but the next one is tried beside it (RFC 8305 section 5). */
export const NEXT_AFTER_MS = 250

export interface NameDialParts {
  readonly clock: Clock
  readonly names: Names
  /** For numeric addresses. */
  readonly dial: Transport['dial']
}

/** The first address that answers counts. It has no deadline of its own: whoever dials has one, and aborts. */
export class NameDial implements Dial, DialListener, Seeker {
  readonly #parts: NameDialParts
  readonly #address: HostPort
  readonly #options: DialOptions
  readonly #listener: DialListener
  #search: Search | undefined
  #left: string[] = []
  #attempts: Dial[] = []
  #failures: NodeJS.ErrnoException[] = []
  #timer: Timer | undefined
  #isOver = false

  constructor(parts: NameDialParts, address: HostPort, options: DialOptions, listener: DialListener) {
    this.#parts = parts
    this.#address = address
    this.#options = options
    this.#listener = listener
    this.#search = parts.names.find(address.host, this)
  }

  abort(): void {
    if (!this.#isOver) this.#end()
  }

  onFound(addresses: readonly string[]): void {
    const { source } = this.#options
    this.#left = addresses.filter(address => source === undefined || isIP(address) === isIP(source))
    if (this.#left.length > 0) this.#next()
    else process.nextTick(() => this.#fail(wrongFamily(this.#address, source)))
  }

  onNotFound(error: NodeJS.ErrnoException): void {
    this.#fail(error)
  }

  onConnected(wire: Wire): void {
    this.#end()
    this.#listener.onConnected(wire)
  }

  onFailed(error: NodeJS.ErrnoException): void {
    this.#failures.push(error)
    if (this.#left.length > 0) this.#next()
    else if (this.#failures.length === this.#attempts.length) this.#fail(joined(this.#failures))
  }

  #next(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const host = this.#left.shift()
    if (host === undefined) return
    const { clock, dial } = this.#parts
    this.#attempts.push(dial({ ...this.#address, host }, this.#options, this))
    if (this.#left.length > 0) this.#timer = clock.setTimer(NEXT_AFTER_MS, () => this.#next())
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#isOver) return
    this.#end()
    this.#listener.onFailed(error)
  }

  /** Those that are still under way are not needed any more; what has ended is not kept. */
  #end(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#search?.abort()
    for (const attempt of this.#attempts) attempt.abort()
    this.#attempts = []
    this.#left = []
    this.#failures = []
  }
}

/** The code is the first one's, as a rule the best address: getaddrinfo puts those that this host cannot reach last. */
function joined(errors: readonly NodeJS.ErrnoException[]): NodeJS.ErrnoException {
  const [first, ...others] = errors
  if (first === undefined || others.length === 0) return first ?? new Error('no address was tried')
  const message = errors.map(error => error.message).join('; ')
  return Object.assign(new Error(message), { code: first.code, errno: first.errno })
}

function wrongFamily({ host }: HostPort, source = ''): NodeJS.ErrnoException {
  const message = `${host} has no address of the family of the source ${source}: give the server an address, or take another source`
  return Object.assign(new Error(message), { code: 'EAFNOSUPPORT' })
}
