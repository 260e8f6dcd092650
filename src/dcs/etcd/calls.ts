// Requests and answers: which member is asked, for how long, and what may be asked again.
// A read may be repeated at another member; a write never, once it may have left.

import type { Etcd3, IResponseHeader } from 'etcd3'
import type { Position } from '../../cluster/view.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/log.ts'
import type { DcsMetrics } from '../metrics.ts'
import { type CallOptions, callOptions } from './client.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { EtcdFault, faultOf, haErrorOf, isEndpointFault } from './faults.ts'
import { isBehind, type RaftTerms } from './terms.ts'
import { positionOf, type Wire } from './wire.ts'

/** Sends one request with the given client; must pass the options on, they carry the end of the attempt. */
export type Send<T> = (client: Etcd3, options: CallOptions) => Promise<T>

/** Anything that etcd answers. */
export interface Answered {
  readonly header: IResponseHeader
}

/** An answer and the monotonic time before its request left. */
export interface Answer<T> {
  readonly value: T
  readonly position: Position
  readonly sentAtMs: number
}

const ATTEMPT_MAX_MS = 1_500
const ATTEMPT_MIN_MS = 200
/** A write goes only to a member that answered something this recently, or answers a probe first. */
const FRESH_MS = 250
const PAUSE_MS = 100

export interface CallsParts {
  readonly endpoints: Endpoints
  readonly wire: Wire
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: DcsMetrics
  readonly retryTimeoutMs: number
}

export class Calls {
  readonly #parts: CallsParts
  /** Time for one attempt at one member. */
  readonly attemptMs: number

  constructor(parts: CallsParts) {
    this.#parts = parts
    const share = parts.retryTimeoutMs / parts.endpoints.all.length
    this.attemptMs = Math.min(Math.max(share, ATTEMPT_MIN_MS), ATTEMPT_MAX_MS)
  }

  /** One request to one member. Throws EtcdFault. At the deadline the request is cancelled, not only forgotten. */
  async attempt<T>(endpoint: Endpoint, what: string, by: Deadline, send: Send<T>): Promise<T> {
    const { clock, endpoints, metrics } = this.#parts
    const startedMs = clock.monotonicMs()
    const count = (result: 'ok' | EtcdFault['kind']) =>
      metrics.call(what, endpoint.name, result, (clock.monotonicMs() - startedMs) / 1000)
    try {
      const value = await by.run(what, async signal => {
        const client = await endpoint.client()
        // A name that took too long to resolve must not send the request behind its caller's back.
        signal.throwIfAborted()
        return send(client, callOptions(signal))
      })
      endpoints.answered(endpoint)
      count('ok')
      return value
    } catch (error) {
      const fault = faultOf(error, endpoint.name)
      count(fault.kind)
      if (isEndpointFault(fault.kind)) endpoints.failed(endpoint)
      else endpoints.answered(endpoint)
      if (fault.kind === 'not-sent') endpoint.nextAddress().catch(() => {})
      throw fault
    }
  }

  /**
   * A request that may be repeated: asks member after member until one answers or the deadline is over. Throws HaError.
   * An answer of an older raft term is passed over. Only a `linearizable` one that all members that answer agree on is
   * taken in spite of its term: then etcd was restored, and refusing it would refuse it for ever.
   */
  async read<T extends Answered>(
    what: string,
    by: Deadline,
    send: Send<T>,
    kind: 'linearizable' | 'local' = 'linearizable',
  ): Promise<Answer<T>> {
    const faults = new Map<Endpoint, EtcdFault>()
    for (let attemptMs = this.attemptMs; !by.isOver(); attemptMs *= 2) {
      let behind: Answer<T> | undefined
      for (const endpoint of this.#parts.endpoints.order()) {
        if (by.isOver()) break
        const result = await this.#tryRead(endpoint, what, by.within(attemptMs), send)
        if (!(result instanceof EtcdFault)) {
          if (!result.isBehind) return this.#believe(endpoint, result.answer, kind)
          behind = this.#passOver(endpoint, result.answer, faults)
          continue
        }
        if (!isEndpointFault(result.kind)) throw haErrorOf(what, [result])
        faults.set(endpoint, result)
      }
      if (behind !== undefined && kind === 'linearizable' && !by.isOver()) return this.#takeRestored(behind)
      await this.#pause(by)
    }
    throw haErrorOf(what, [...faults.values()])
  }

  /**
   * A request that must not be repeated. Throws EtcdFault, whose kind says whether it may be applied. Before it
   * leaves, the member must have shown that it is alive and has a leader; that costs a local read at most.
   */
  async write<T extends Answered>(what: string, by: Deadline, send: Send<T>): Promise<Answer<T>> {
    for (;;) {
      const endpoint = await this.#answering(by)
      const sentAtMs = this.#parts.clock.monotonicMs()
      try {
        const value = await this.attempt(endpoint, what, by.within(this.attemptMs * 2), send)
        const position = positionOf(value.header)
        this.#parts.terms.raise(position)
        this.#parts.endpoints.prefer(endpoint)
        return { value, position, sentAtMs }
      } catch (error) {
        const fault = faultOf(error, endpoint.name)
        if (fault.kind !== 'not-sent' || by.isOver()) throw fault
        await this.#pause(by)
      }
    }
  }

  async #tryRead<T extends Answered>(
    endpoint: Endpoint,
    what: string,
    by: Deadline,
    send: Send<T>,
  ): Promise<EtcdFault | { readonly answer: Answer<T>; readonly isBehind: boolean }> {
    const known = this.#parts.terms.current()
    const sentAtMs = this.#parts.clock.monotonicMs()
    try {
      const value = await this.attempt(endpoint, what, by, send)
      const answer = { value, position: positionOf(value.header), sentAtMs }
      return { answer, isBehind: isBehind(answer.position, known) }
    } catch (error) {
      return faultOf(error, endpoint.name)
    }
  }

  #believe<T>(endpoint: Endpoint, answer: Answer<T>, kind: 'linearizable' | 'local'): Answer<T> {
    if (kind === 'linearizable') this.#parts.terms.raise(answer.position)
    this.#parts.endpoints.prefer(endpoint)
    return answer
  }

  #passOver<T>(endpoint: Endpoint, answer: Answer<T>, faults: Map<Endpoint, EtcdFault>): Answer<T> {
    const term = answer.position.raftTerm
    faults.set(endpoint, new EtcdFault('stale', endpoint.name, `answered from the older raft term ${term}`))
    this.#parts.endpoints.failed(endpoint)
    return answer
  }

  #takeRestored<T>(answer: Answer<T>): Answer<T> {
    const { clusterId, raftTerm } = answer.position
    this.#parts.logger.warning(
      `etcd went back to raft term ${raftTerm} on every member that answers: taken as restored from a backup`,
      { event: 'dcs-restored', clusterId },
    )
    this.#parts.terms.accept(answer.position)
    return answer
  }

  async #answering(by: Deadline): Promise<Endpoint> {
    const faults = new Map<Endpoint, EtcdFault>()
    while (!by.isOver()) {
      for (const endpoint of this.#parts.endpoints.order()) {
        if (this.#isFresh(endpoint)) return endpoint
        if (by.isOver()) break
        const fault = await this.#probe(endpoint, by.within(Math.min(this.attemptMs, by.remainingMs() / 2)))
        if (fault === undefined) return endpoint
        faults.set(endpoint, fault)
      }
      await this.#pause(by)
    }
    const told = [...faults.values()].map(fault => fault.message).join('; ')
    throw new EtcdFault('not-sent', 'etcd', `no member answered, nothing was sent: ${told || 'no time left'}`)
  }

  #isFresh(endpoint: Endpoint): boolean {
    const isRecent = endpoint.okAtMs > this.#parts.clock.monotonicMs() - FRESH_MS
    return isRecent && endpoint.failedAtMs === Number.NEGATIVE_INFINITY
  }

  /** Undefined when the member answered: a read of one key from its own copy. */
  async #probe(endpoint: Endpoint, by: Deadline): Promise<EtcdFault | undefined> {
    try {
      const key = this.#parts.wire.key('leader')
      await this.attempt(endpoint, 'probe', by, (client, options) =>
        client.kv.range({ key, serializable: true, keys_only: true }, options),
      )
      return undefined
    } catch (error) {
      const fault = faultOf(error, endpoint.name)
      return isEndpointFault(fault.kind) ? fault : undefined
    }
  }

  async #pause(by: Deadline): Promise<void> {
    await this.#parts.clock.sleep(Math.min(PAUSE_MS, by.remainingMs()))
  }
}
