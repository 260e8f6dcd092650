// Leases by raw calls. Renewing is the most urgent request of all: it may be sent twice, so a second member is asked
// when the first has been silent for half of its time, and whoever answers first counts.

import type { Clock } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import { HaError } from '../../platform/errors.ts'
import type { Lease, LeaseLeft, Outcome, Renewal } from '../dcs.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { Calls } from './calls.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { EtcdFault, faultOf, isRefusal } from './faults.ts'
import { Race } from './race.ts'
import { isBehind, isForeign, type RaftTerms } from './terms.ts'

export interface LeaseParts {
  readonly calls: Calls
  readonly endpoints: Endpoints
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly metrics: DcsMetrics
}

/** More than any election adds to a lease. */
const LEFT_SLACK_SECONDS = 60
const PAUSE_MS = 50
const PAUSE_MAX_MS = 250
/** Renewals of one call that may be under way at the same time. */
const UNDER_WAY_MAX = 9

export class Leases {
  readonly #parts: LeaseParts

  constructor(parts: LeaseParts) {
    this.#parts = parts
  }

  /** A grant whose answer is lost leaves a lease that nobody uses and that ends by itself: it may be repeated. */
  async grant(ttlSeconds: number, by: Deadline): Promise<Lease> {
    const { value, sentAtMs } = await this.#parts.calls.read(
      'grant a lease',
      by,
      (rpc, call) => rpc.grant(Math.ceil(ttlSeconds), call),
      'ordered',
    )
    return { id: value.id, ttlSeconds: value.ttlSeconds, sentAtMs }
  }

  /** Renews at whichever member answers first, again and again until the deadline. */
  async keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal> {
    const { clock, metrics } = this.#parts
    const startedMs = clock.monotonicMs()
    const race = new Race<Renewal | EtcdFault>(clock)
    const renewal = await this.#renew(leaseId, by, race).finally(() => race.end())
    metrics.keepAlive(renewal.outcome, (clock.monotonicMs() - startedMs) / 1000)
    return renewal
  }

  async left(leaseId: bigint, by: Deadline): Promise<LeaseLeft> {
    const { value, sentAtMs } = await this.#parts.calls.read(
      'read a lease',
      by,
      (rpc, call) => rpc.timeToLive(leaseId, call),
      'local',
    )
    const { ttlSeconds, grantedSeconds } = value
    // A member that has just lost the raft leadership, or not yet taken it up, keeps no time: it answers with the largest number.
    if (ttlSeconds > grantedSeconds + LEFT_SLACK_SECONDS) {
      const says = `a lease of ${grantedSeconds} s has ${ttlSeconds} s left: the member does not keep its time just now`
      throw new HaError('E_DCS_STALE', `etcd: read a lease failed: ${says}`, { retryable: true })
    }
    // An election adds its own time; nobody may count on that.
    const leftSeconds = ttlSeconds < 0 ? undefined : Math.min(ttlSeconds, grantedSeconds)
    return { leftSeconds, grantedSeconds, sentAtMs }
  }

  async revoke(leaseId: bigint, by: Deadline): Promise<Outcome> {
    try {
      await this.#parts.calls.write('revoke', by, (rpc, call) => rpc.revoke(leaseId, call))
      return 'won'
    } catch (error) {
      return outcomeOf(faultOf(error, 'etcd'))
    }
  }

  async #renew(leaseId: bigint, by: Deadline, race: Race<Renewal | EtcdFault>): Promise<Renewal> {
    const { calls, endpoints } = this.#parts
    let isHeard = false
    const refused = new Set<string>()
    for (let round = 1; !by.isOver(); round *= 2) {
      const order = endpoints.order()
      for (const [index, endpoint] of order.entries()) {
        if (by.isOver()) break
        if (race.running < UNDER_WAY_MAX) race.start(signal => this.#renewAt(endpoint, leaseId, by, signal))
        // A second member is asked early; who is asked at the end gets the rest of the time.
        const shareMs = by.remainingMs() / (order.length - index + 1)
        const result = await race.next(Math.min((calls.attemptMs / 2) * round, shareMs))
        if (result === undefined) continue
        if (!(result instanceof EtcdFault)) return result
        if (isRefusal(result.kind)) refused.add(result.endpoint)
        else if (result.kind !== 'not-sent') isHeard = true
      }
      // One member's refusal is not everybody's: it may belong to another etcd.
      if (refused.size > 0 && refused.size >= order.length) return { outcome: 'unreachable' }
      const pauseMs = Math.min(PAUSE_MS * round, PAUSE_MAX_MS, by.remainingMs())
      const late = await race.next(pauseMs, true)
      if (late !== undefined && !(late instanceof EtcdFault)) return late
      if (late !== undefined && !isRefusal(late.kind) && late.kind !== 'not-sent') isHeard = true
    }
    return { outcome: isHeard || race.running > 0 ? 'unknown' : 'unreachable' }
  }

  /**
   * A member that was frozen as raft leader believes for a moment after the thaw that it still leads, and renews
   * leases that the others have long taken away. Its older term gives it away: such an answer counts as none. So does
   * that of another cluster, which never had the lease.
   */
  async #renewAt(
    endpoint: Endpoint,
    leaseId: bigint,
    by: Deadline,
    signal: AbortSignal,
  ): Promise<Renewal | EtcdFault> {
    const { calls, clock, endpoints, terms } = this.#parts
    const sentAtMs = clock.monotonicMs()
    try {
      const { header, ttlSeconds } = await calls.attempt(
        endpoint,
        'keepalive',
        by,
        (rpc, call) => rpc.keepAlive(leaseId, call),
        { signal, isLenient: true },
      )
      const known = terms.current()
      if (isBehind(header, known) || isForeign(header, known)) {
        endpoints.failed(endpoint)
        return new EtcdFault(
          'stale',
          endpoint.name,
          'renewed a lease in an older raft term or another cluster',
        )
      }
      terms.heardAtMs = clock.monotonicMs()
      endpoints.prefer(endpoint)
      if (ttlSeconds <= 0) return { outcome: 'lost' }
      return { outcome: 'won', lease: { id: leaseId, ttlSeconds, sentAtMs } }
    } catch (error) {
      return faultOf(error, endpoint.name)
    }
  }
}

/** The outcome that a failed write has for its caller. */
export function outcomeOf(fault: EtcdFault): Outcome {
  if (fault.kind === 'lease-gone') return 'lost'
  return fault.kind === 'unanswered' || fault.kind === 'stale' ? 'unknown' : 'unreachable'
}
