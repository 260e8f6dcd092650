// Names of etcd hosts to addresses, remembered: a resolver that hangs must not stop us from reaching a host that we
// reached a minute ago, and must never hold more than one lookup per name (each blocks a thread of the pool).

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Clock } from '../../platform/clock.ts'

/** Addresses of a host name, best first. */
export type Lookup = (host: string) => Promise<readonly string[]>

const systemLookup: Lookup = async host =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(entry => entry.address)

/** Age at which a remembered answer is asked for again, in the background. */
const REFRESH_MS = 30_000

/** One host's addresses. */
export class Addresses {
  readonly #host: string
  readonly #clock: Clock
  readonly #lookup: Lookup
  #known: readonly string[]
  #knownAtMs = Number.NEGATIVE_INFINITY
  #pending: Promise<void> | undefined
  #failure: unknown

  constructor(host: string, clock: Clock, lookupHost: Lookup = systemLookup) {
    this.#host = host
    this.#clock = clock
    this.#lookup = lookupHost
    this.#known = isIP(host) === 0 ? [] : [host]
  }

  /**
   * The known addresses at once if there are any, otherwise the first lookup's answer. Rejects with the resolver's
   * error; it may take as long as the resolver does, so callers bring their own deadline.
   */
  async get(): Promise<readonly string[]> {
    const isOld = this.#clock.monotonicMs() - this.#knownAtMs > REFRESH_MS
    if (isIP(this.#host) === 0 && isOld) this.#refresh()
    if (this.#known.length > 0) return this.#known
    await this.#pending
    if (this.#known.length === 0) throw this.#failure
    return this.#known
  }

  #refresh(): void {
    this.#pending ??= this.#lookup(this.#host)
      .then(
        addresses => {
          if (addresses.length > 0) this.#known = addresses
          this.#knownAtMs = this.#clock.monotonicMs()
        },
        (error: unknown) => {
          this.#failure = error
        },
      )
      .finally(() => {
        this.#pending = undefined
      })
  }
}
