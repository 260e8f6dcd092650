// One real endpoint: a client for the current address of its host, with the secrets of now.

import type { Clock, Timer } from '../../platform/clock.ts'
import { Addresses } from './addresses.ts'
import type { Endpoint, Send } from './endpoints.ts'
import { EtcdFault, faultOf } from './faults.ts'
import type { EndpointAddress } from './options.ts'
import type { EtcdRpc } from './rpc.ts'
import type { SecretSource } from './secrets.ts'
import type { OpenTarget } from './target.ts'
import type { Tokens } from './tokens.ts'

export interface EndpointParts {
  readonly clock: Clock
  readonly secrets: SecretSource
  readonly tokens: Tokens
  readonly open: (target: OpenTarget) => EtcdRpc
}

/** What is under way on a client that was replaced may finish within this time. */
const RETIRED_FOR_MS = 5_000

export class EtcdEndpoint implements Endpoint {
  readonly name: string
  readonly learnedFrom: string | undefined
  okAtMs = Number.NEGATIVE_INFINITY
  failedAtMs = Number.NEGATIVE_INFINITY
  clusterId: string | undefined
  memberId: string | undefined
  readonly address: EndpointAddress
  readonly #parts: EndpointParts
  readonly #addresses: Addresses
  readonly #retired = new Map<EtcdRpc, Timer>()
  #rpc: EtcdRpc | undefined
  #rpcAddress: string | undefined
  #turn = 0
  #isClosed = false

  constructor(address: EndpointAddress, parts: EndpointParts, learnedFrom?: string) {
    this.name = address.name
    this.learnedFrom = learnedFrom
    this.address = address
    this.#parts = parts
    this.#addresses = new Addresses(address.host, parts.clock)
  }

  async call<T>(send: Send<T>, signal: AbortSignal, isLenient = false): Promise<T> {
    const rpc = await this.#client()
    // A name that took too long to resolve must not send the request behind its caller's back.
    signal.throwIfAborted()
    try {
      return await this.#parts.tokens.send({ name: this.name, rpc }, signal, isLenient, token =>
        send(rpc, token === undefined ? { signal } : { signal, token }),
      )
    } catch (error) {
      const { kind } = faultOf(error, this.name)
      // A name that may do nothing, or no connection at all: our certificates, or whom they trust, may be old.
      if (kind === 'auth' || (kind === 'not-sent' && this.address.secure)) this.#parts.secrets.suspect()
      throw error
    }
  }

  doubtToken(): void {
    this.#parts.tokens.doubt()
  }

  async nextAddress(): Promise<void> {
    const known = await this.#addresses.get()
    if (known.length < 2) return
    this.#turn += 1
    this.#rpcAddress = undefined
  }

  renew(): void {
    const old = this.#rpc
    this.#rpc = undefined
    if (old === undefined) return
    const timer = this.#parts.clock.setTimer(RETIRED_FOR_MS, () => {
      this.#retired.delete(old)
      old.close()
    })
    this.#retired.set(old, timer)
  }

  close(): void {
    this.#isClosed = true
    this.#rpc?.close()
    this.#rpc = undefined
    for (const [rpc, timer] of this.#retired) {
      timer.cancel()
      rpc.close()
    }
    this.#retired.clear()
  }

  async #client(): Promise<EtcdRpc> {
    const known = await this.#addresses.get()
    if (this.#isClosed) throw new EtcdFault('not-sent', this.name, 'closed')
    if (this.#rpc !== undefined && known.includes(this.#rpcAddress ?? '')) return this.#rpc
    // What is under way on the old one may still be answered.
    this.renew()
    const { host, port, secure } = this.address
    const address = known[this.#turn % known.length] ?? host
    this.#rpcAddress = address
    const { tls } = this.#parts.secrets.current()
    this.#rpc = this.#parts.open({ host, port, address, secure, tls: secure ? tls : undefined })
    return this.#rpc
  }
}
