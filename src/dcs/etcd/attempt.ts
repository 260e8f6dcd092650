// One request to one member, once: its deadline, its count, and what its end says about the member.

import type { Clock } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { Tell } from '../tell.ts'
import type { Endpoint, Endpoints, Send } from './endpoints.ts'
import { EtcdFault, faultOf, isEndpointFault } from './faults.ts'
import type { Patience } from './patience.ts'
import { Overtaken } from './race.ts'
import type { Answered } from './rpc.ts'

/** A call that takes longer is told. */
const SLOW_MS = 500

export interface AttemptParts {
  readonly endpoints: Endpoints
  readonly patience: Patience
  readonly clock: Clock
  readonly metrics: DcsMetrics
  readonly tell: Tell
}

export interface AttemptOptions {
  /** Ends the attempt before its deadline. */
  readonly signal?: AbortSignal
  readonly isLenient?: boolean
}

export class Attempts {
  readonly #parts: AttemptParts

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  /** Throws EtcdFault. At the deadline the request is cancelled, not only forgotten. */
  async attempt<T extends Answered>(
    endpoint: Endpoint,
    what: string,
    by: Deadline,
    send: Send<T>,
    { signal, isLenient = false }: AttemptOptions = {},
  ): Promise<T> {
    const { clock, endpoints, patience } = this.#parts
    const startedMs = clock.monotonicMs()
    try {
      const value = await by.run(what, inner => endpoint.call(send, inner, isLenient), signal)
      endpoint.clusterId = value.header.clusterId
      endpoint.memberId = value.header.memberId
      endpoints.answered(endpoint)
      const tookMs = clock.monotonicMs() - startedMs
      patience.note(tookMs)
      this.#count(endpoint, what, 'ok', tookMs)
      return value
    } catch (error) {
      throw this.#failed(endpoint, what, error, clock.monotonicMs() - startedMs)
    }
  }

  #failed(endpoint: Endpoint, what: string, error: unknown, tookMs: number): EtcdFault {
    const { endpoints, patience } = this.#parts
    if (error instanceof Overtaken) {
      // A member that had its time and said nothing failed; one that was asked a moment ago did not.
      const wasSilent = tookMs >= patience.attemptMs(endpoints.all.length)
      this.#count(endpoint, what, wasSilent ? 'unanswered' : 'overtaken', tookMs)
      if (wasSilent) endpoints.failed(endpoint)
      return new EtcdFault('unanswered', endpoint.name, error.message, error)
    }
    const fault = faultOf(error, endpoint.name)
    this.#count(endpoint, what, fault.kind, tookMs)
    if (isEndpointFault(fault.kind) || fault.kind === 'auth') endpoints.failed(endpoint)
    else endpoints.answered(endpoint)
    if (fault.kind === 'not-sent') endpoint.nextAddress().catch(() => {})
    return fault
  }

  #count(endpoint: Endpoint, what: string, result: 'ok' | 'overtaken' | EtcdFault['kind'], tookMs: number) {
    const { metrics, tell } = this.#parts
    metrics.call(what, endpoint.name, result, tookMs / 1000)
    if (tookMs < SLOW_MS || result === 'overtaken') return
    metrics.slowCall(what, endpoint.name)
    const says = `etcd ${endpoint.name} ${result === 'ok' ? 'answered' : 'was silent'}: ${what} took ${Math.round(tookMs)} ms`
    tell('dcs-slow-call', says, {
      about: endpoint.name,
      facts: { call: what, ms: Math.round(tookMs), result },
    })
  }
}
