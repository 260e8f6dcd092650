// Leases by raw calls. Renewing is the most urgent request of all: it may be sent twice, so a second member is asked
// when the first has been silent for half of its time.

import type { ILeaseKeepAliveResponse, ILeaseTimeToLiveResponse, IResponseHeader } from 'etcd3'
import type { Clock } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import type { Lease, LeaseLeft, Outcome, Renewal } from '../dcs.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { Calls, Send } from './calls.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { EtcdFault, faultOf } from './faults.ts'
import { hedge } from './hedge.ts'
import { isBehind, type RaftTerms } from './terms.ts'
import { positionOf } from './wire.ts'

export interface LeaseParts {
  readonly calls: Calls
  readonly endpoints: Endpoints
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly metrics: DcsMetrics
}

const PAUSE_MS = 50

export class Leases {
  readonly #parts: LeaseParts

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /** A grant whose answer is lost leaves a lease that nobody uses and that ends by itself: it may be repeated. */
  async grant(ttlSeconds: number, by: Deadline): Promise<Lease> {
    const { value, sentAtMs } = await this.#parts.calls.read('grant a lease', by, (client, options) =>
      client.leaseClient.leaseGrant({ TTL: Math.ceil(ttlSeconds) }, options),
    )
    return { id: BigInt(value.ID), ttlSeconds: Number(value.TTL), sentAtMs }
  }

  /** Renews at whichever member answers first, again and again until the deadline. */
  async keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal> {
    const { clock, metrics } = this.#parts
    const startedMs = clock.monotonicMs()
    const renewal = await this.#renew(leaseId, by)
    metrics.keepAlive(renewal.outcome, (clock.monotonicMs() - startedMs) / 1000)
    return renewal
  }

  async left(leaseId: bigint, by: Deadline): Promise<LeaseLeft> {
    const send: Send<ILeaseTimeToLiveResponse> = (client, options) =>
      client.leaseClient.leaseTimeToLive({ ID: leaseId.toString() }, options)
    const { value, sentAtMs } = await this.#parts.calls.read('read a lease', by, send, 'local')
    const leftSeconds = Number(value.TTL)
    return {
      leftSeconds: leftSeconds < 0 ? undefined : leftSeconds,
      grantedSeconds: Number(value.grantedTTL),
      sentAtMs,
    }
  }

  async revoke(leaseId: bigint, by: Deadline): Promise<Outcome> {
    try {
      await this.#parts.calls.write('revoke', by, (client, options) =>
        client.leaseClient.leaseRevoke({ ID: leaseId.toString() }, options),
      )
      return 'won'
    } catch (error) {
      return outcomeOf(faultOf(error, 'etcd'))
    }
  }

  async #renew(leaseId: bigint, by: Deadline): Promise<Renewal> {
    let outcome: Outcome = 'unreachable'
    for (let attemptMs = this.#parts.calls.attemptMs; !by.isOver(); attemptMs *= 2) {
      const [first, second = first, ...rest] = this.#parts.endpoints.order()
      if (first === undefined || second === undefined) break
      for (const pair of [[first, second] as const, ...rest.map(member => [member, first] as const)]) {
        if (by.isOver()) break
        const result = await this.#renewHedged(pair, leaseId, by.within(attemptMs))
        if (!(result instanceof EtcdFault)) return result
        if (result.kind === 'auth' || result.kind === 'rejected') return { outcome: 'unreachable' }
        if (result.kind !== 'not-sent') outcome = 'unknown'
      }
      await this.#parts.clock.sleep(Math.min(PAUSE_MS, by.remainingMs()))
    }
    return { outcome } as Renewal
  }

  async #renewHedged(
    [first, second]: readonly [Endpoint, Endpoint],
    leaseId: bigint,
    by: Deadline,
  ): Promise<Renewal | EtcdFault> {
    const halfMs = by.remainingMs() / 2
    try {
      return await hedge(
        this.#parts.clock,
        halfMs,
        () => this.#renewAt(first, leaseId, by),
        () => this.#renewAt(second, leaseId, by),
      )
    } catch (error) {
      return faultOf(error, first.name)
    }
  }

  /**
   * A member that was frozen as raft leader believes for a moment after the thaw that it still leads, and renews
   * leases that the others have long taken away. Its older term gives it away: such an answer counts as none.
   */
  async #renewAt(endpoint: Endpoint, leaseId: bigint, by: Deadline): Promise<Renewal> {
    const { calls, clock, endpoints, terms } = this.#parts
    const sentAtMs = clock.monotonicMs()
    const answer = await calls.attempt(endpoint, 'keepalive', by, sendKeepAlive(leaseId))
    if (isBehind(positionOf(answer.header as IResponseHeader), terms.current())) {
      endpoints.failed(endpoint)
      throw new EtcdFault('stale', endpoint.name, 'renewed a lease in an older raft term')
    }
    endpoints.prefer(endpoint)
    const ttlSeconds = Number(answer.TTL)
    if (ttlSeconds <= 0) return { outcome: 'lost' }
    return { outcome: 'won', lease: { id: leaseId, ttlSeconds, sentAtMs } }
  }
}

/** The outcome that a failed write has for its caller. */
export function outcomeOf(fault: EtcdFault): Outcome {
  if (fault.kind === 'lease-gone') return 'lost'
  return fault.kind === 'unanswered' || fault.kind === 'stale' ? 'unknown' : 'unreachable'
}

/** One renewal over a stream of its own: a stream that is kept would sit on a member that has gone silent. */
function sendKeepAlive(leaseId: bigint): Send<ILeaseKeepAliveResponse> {
  return async (client, options) => {
    const stream = await client.leaseClient.leaseKeepAlive(options)
    try {
      return await new Promise((resolve, reject) => {
        stream.on('data', resolve)
        stream.on('error', reject)
        stream.on('end', () => reject(new Error('the stream ended without an answer')))
        stream.write({ ID: leaseId.toString() })
      })
    } finally {
      stream.end()
      stream.cancel()
    }
  }
}
