// The configured etcd members and what we know of them: who answered last, who failed lately, whom to ask next.

import type { Etcd3 } from 'etcd3'
import type { Clock } from '../../platform/clock.ts'
import { Addresses } from './addresses.ts'
import { openClient } from './client.ts'
import { EtcdFault } from './faults.ts'
import type { EndpointAddress, EtcdOptions } from './options.ts'

/** A member that failed is asked last for this long. */
const FAILED_FOR_MS = 3_000

/** One configured member. */
export interface Endpoint {
  readonly name: string
  /** Monotonic time of its last answer, and of its last failure since then; minus infinity for never. */
  okAtMs: number
  failedAtMs: number
  /** The client for the host's current address. Rejects when the name has no address yet. */
  client(): Promise<Etcd3>
  /** A host may have several addresses: after a refused connection the next one gets its turn. */
  nextAddress(): Promise<void>
  close(): void
}

/** A member with a real client behind cached addresses. */
export class EtcdEndpoint implements Endpoint {
  readonly name: string
  okAtMs = Number.NEGATIVE_INFINITY
  failedAtMs = Number.NEGATIVE_INFINITY
  readonly #address: EndpointAddress
  readonly #options: EtcdOptions
  readonly #addresses: Addresses
  #client: Etcd3 | undefined
  #clientAddress: string | undefined
  #turn = 0
  #closed = false

  constructor(address: EndpointAddress, options: EtcdOptions) {
    this.name = address.name
    this.#address = address
    this.#options = options
    this.#addresses = new Addresses(address.host, options.clock)
  }

  async client(): Promise<Etcd3> {
    const known = await this.#addresses.get()
    if (this.#closed) throw new EtcdFault('not-sent', this.name, 'closed')
    if (this.#client !== undefined && known.includes(this.#clientAddress ?? '')) return this.#client
    this.#client?.close()
    const address = known[this.#turn % known.length] ?? this.#address.host
    this.#clientAddress = address
    this.#client = openClient(this.#address, address, this.#options)
    return this.#client
  }

  async nextAddress(): Promise<void> {
    const known = await this.#addresses.get()
    if (known.length < 2) return
    this.#turn += 1
    this.#clientAddress = undefined
  }

  close(): void {
    this.#closed = true
    this.#client?.close()
    this.#client = undefined
  }
}

/** All members in the order in which they should be asked. One is preferred until it fails. */
export class Endpoints {
  readonly all: readonly Endpoint[]
  readonly #clock: Clock
  readonly #listeners = new Set<(endpoint: Endpoint) => void>()
  #preferred: number

  /** `startAt` is the place of the member to begin with. */
  constructor(all: readonly Endpoint[], clock: Clock, startAt: number) {
    this.all = all
    this.#clock = clock
    this.#preferred = startAt % all.length
  }

  /** The preferred member first, then the others in turn; at the end those that failed lately, longest ago first. */
  order(): readonly Endpoint[] {
    const turned = [...this.all.slice(this.#preferred), ...this.all.slice(0, this.#preferred)]
    const failedSinceMs = this.#clock.monotonicMs() - FAILED_FOR_MS
    const isFailing = (endpoint: Endpoint) => endpoint.failedAtMs > failedSinceMs
    const failing = turned.filter(isFailing).sort((a, b) => a.failedAtMs - b.failedAtMs)
    return [...turned.filter(endpoint => !isFailing(endpoint)), ...failing]
  }

  /** Stay with this member from now on. */
  prefer(endpoint: Endpoint): void {
    this.#preferred = Math.max(0, this.all.indexOf(endpoint))
  }

  answered(endpoint: Endpoint): void {
    endpoint.okAtMs = this.#clock.monotonicMs()
    endpoint.failedAtMs = Number.NEGATIVE_INFINITY
  }

  failed(endpoint: Endpoint): void {
    endpoint.failedAtMs = this.#clock.monotonicMs()
    for (const listener of this.#listeners) listener(endpoint)
  }

  /** Calls `listener` at each failed request; returns the way to stop it. */
  onFailed(listener: (endpoint: Endpoint) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    for (const endpoint of this.all) endpoint.close()
  }
}
