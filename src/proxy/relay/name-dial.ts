// An attempt to connect to a server that is given by name: looks it up and dials its addresses in turn. Opens no socket itself.

import { isIP } from 'node:net'
import type { HostPort } from '../../cluster/member.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import { type LookUp, Names, type Search, type Seeker, tooLate } from './names.ts'
import type { Dial, DialListener, DialOptions, Transport } from './wire.ts'

/** An address that says nothing is not given up, but the next one is tried beside it (RFC 8305 section 5). */
export const NEXT_AFTER_MS = 250

/** Attempts beside each other; the oldest is given up for a third. */
const OPEN_MAX = 2

export interface NameDialParts {
  readonly clock: Clock
  readonly names: Names
  /** For numeric addresses. */
  readonly dial: Transport['dial']
}

/** The first address that answers counts. It has no deadline of its own: whoever dials has one, and aborts. */
export class NameDial implements Dial, Seeker {
  readonly #parts: NameDialParts
  readonly #address: HostPort
  readonly #options: DialOptions
  readonly #listener: DialListener
  #search: Search | undefined
  #left: string[] = []
  /** Under way, the oldest first. */
  readonly #open = new Map<Dial, string>()
  #failures: NodeJS.ErrnoException[] = []
  #timer: Timer | undefined
  #isLookingUp = true
  #isOver = false

  constructor(parts: NameDialParts, address: HostPort, options: DialOptions, listener: DialListener) {
    this.#parts = parts
    this.#address = address
    this.#options = options
    this.#listener = listener
    this.#search = parts.names.find(address.host, this)
    const { lookUpMs } = options
    if (lookUpMs !== undefined && this.#isLookingUp)
      this.#timer = parts.clock.setTimer(lookUpMs, () => this.#fail(tooLate(address.host, `${lookUpMs} ms`)))
  }

  abort(): void {
    if (!this.#isOver) this.#end()
  }

  onFound(addresses: readonly string[]): void {
    this.#isLookingUp = false
    this.#timer?.cancel()
    const { source } = this.#options
    this.#left = addresses.filter(address => source === undefined || isIP(address) === isIP(source))
    if (this.#left.length > 0) this.#next()
    else process.nextTick(() => this.#fail(wrongFamily(this.#address, source)))
  }

  onNotFound(error: NodeJS.ErrnoException): void {
    this.#fail(error)
  }

  #next(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const host = this.#left.shift()
    if (host === undefined) return
    if (this.#open.size >= OPEN_MAX) this.#giveUpOldest()
    const { clock, dial } = this.#parts
    const attempt = dial({ ...this.#address, host }, this.#options, {
      onConnected: wire => {
        this.#open.delete(attempt)
        this.#end()
        this.#listener.onConnected(wire)
      },
      onFailed: error => {
        this.#open.delete(attempt)
        this.#failures.push(error)
        if (this.#left.length > 0) this.#next()
        else if (this.#open.size === 0) this.#fail(joined(this.#failures))
      },
    })
    this.#open.set(attempt, host)
    if (this.#left.length > 0) this.#timer = clock.setTimer(NEXT_AFTER_MS, () => this.#next())
  }

  /** A session may hold two descriptors for its server for a moment, not one for each address. */
  #giveUpOldest(): void {
    const [oldest] = this.#open
    if (oldest === undefined) return
    const [attempt, host] = oldest
    this.#open.delete(attempt)
    attempt.abort()
    this.#failures.push(silent(host, this.#address.port))
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
    for (const attempt of this.#open.keys()) attempt.abort()
    this.#open.clear()
    this.#left = []
    this.#failures = []
  }
}

/** The transport with names looked up by us: `transport.dial` gets numeric addresses alone. */
export function withNames(clock: Clock, transport: Transport, lookUp?: LookUp): Transport {
  const { dial } = transport
  const parts: NameDialParts = { clock, names: new Names(clock, lookUp), dial }
  return {
    ...transport,
    dial: (address, options, listener) =>
      isIP(address.host) === 0
        ? new NameDial(parts, address, options, listener)
        : dial(address, options, listener),
  }
}

/** The code is the first one's, as a rule the best address: getaddrinfo puts those that this host cannot reach last. */
function joined(errors: readonly NodeJS.ErrnoException[]): NodeJS.ErrnoException {
  const [first, ...others] = errors
  if (first === undefined || others.length === 0) return first ?? new Error('no address was tried')
  const message = errors.map(error => error.message).join('; ')
  return Object.assign(new Error(message), { code: first.code, errno: first.errno })
}

function silent(host: string, port: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`connect ETIMEDOUT ${host}:${port}`), { code: 'ETIMEDOUT' })
}

function wrongFamily({ host }: HostPort, source = ''): NodeJS.ErrnoException {
  const message = `${host} has no address of the family of the source ${source}: give the server an address, or take another source`
  return Object.assign(new Error(message), { code: 'EAFNOSUPPORT' })
}
