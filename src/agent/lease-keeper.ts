// Holds this member's lease and knows until when leadership is safe. Renews on its own timer, whatever the loop does,
// but only while the loop lives: a hung loop must lose the lock. It decides nothing and touches no server.

import type { LeaderKey, Position } from '../cluster/view.ts'
import {
  type Condition,
  type Dcs,
  holdOf,
  type LeaderHold,
  type Lease,
  type Outcome,
  type Renewal,
  type Write,
} from '../dcs/dcs.ts'
import { acquireLeader, reattachLeader, releaseLeader } from '../dcs/leadership.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

/** The timings that the deadline follows from, in milliseconds. */
export interface LeaseTimings {
  readonly ttlMs: number
  readonly loopWaitMs: number
  readonly retryTimeoutMs: number
}

const LOOP_GRACE_MS = 2_000

/** How often the lease is renewed. */
export function renewalIntervalMs(timings: LeaseTimings): number {
  return Math.min(timings.loopWaitMs, timings.ttlMs / 6)
}

/** Our deadline ends this much before the server's lease can. */
export function marginMs(timings: LeaseTimings): number {
  return timings.ttlMs / 10
}

export interface LeaseKeeperParts {
  readonly dcs: Dcs
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
  /** Called when the hold is found lost, so that the loop runs at once. */
  readonly onLost: (why: string) => void
  /** Called with the duration of each successful renewal. */
  readonly onRenewed: (tookMs: number) => void
}

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts
  #timings: LeaseTimings
  #lease: Lease | undefined
  #hold: LeaderHold | undefined
  #seen: Position | undefined
  #safeUntilMs = Number.NEGATIVE_INFINITY
  #turnBeganAtMs: number
  /** After a long pause the hold counts for nothing until the key has been read. */
  #isSuspect = false
  #timer: Timer | undefined
  #isStopped = false
  #isRenewing = false

  constructor(parts: LeaseKeeperParts, timings: LeaseTimings) {
    this.#parts = parts
    this.#timings = timings
    this.#turnBeganAtMs = parts.clock.monotonicMs()
  }

  get timings(): LeaseTimings {
    return this.#timings
  }

  get leaseId(): bigint | undefined {
    return this.#lease?.id
  }

  get hold(): LeaderHold | undefined {
    return this.#hold
  }

  /** The monotonic instant after which we must not be a primary; -Infinity when we have no hold. */
  get safeUntilMs(): number {
    return this.#hold === undefined ? Number.NEGATIVE_INFINITY : this.#safeUntilMs
  }

  /** Leadership left by our own clock; 0 when not the leader or when the hold is in doubt. */
  leftMs(): number {
    if (this.#hold === undefined || this.#isSuspect) return 0
    return Math.max(0, this.#safeUntilMs - this.#parts.clock.monotonicMs())
  }

  /** New timings count from the next renewal; a changed ttl makes `ensureLease` grant another lease. */
  setTimings(timings: LeaseTimings): void {
    this.#timings = timings
  }

  /** The loop began a turn: renewing may go on. */
  noteTurn(): void {
    this.#turnBeganAtMs = this.#parts.clock.monotonicMs()
  }

  /** The process stood still for long: until the key is read again we are not the leader. */
  suspect(): void {
    this.#isSuspect = true
  }

  /** The machine slept this long: the lease in etcd went on. */
  loseTime(suspendedMs: number): void {
    this.#safeUntilMs -= suspendedMs
  }

  start(): void {
    this.#arm()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /**
   * Makes sure that there is a lease of the configured ttl. With a changed ttl the leader key moves to the new lease, by
   * a compare with the revision that we hold. Throws HaError when etcd does not grant.
   */
  async ensureLease(by: Deadline): Promise<bigint> {
    const ttlSeconds = Math.ceil(this.#timings.ttlMs / 1000)
    const current = this.#lease
    if (current !== undefined && Math.abs(current.ttlSeconds - ttlSeconds) < 1) return current.id
    const granted = await this.#parts.dcs.grantLease(ttlSeconds, by)
    if (this.#hold !== undefined) await this.#moveHold(this.#hold, granted, by)
    this.#lease = granted
    return granted.id
  }

  async #moveHold(hold: LeaderHold, lease: Lease, by: Deadline): Promise<void> {
    const written = await reattachLeader(this.#parts.dcs, hold, lease.id, by)
    if (written.outcome !== 'won' || written.revision === undefined) {
      this.drop(`the leader key could not move to a new lease (${written.outcome})`)
      return
    }
    this.#take({ ...hold, modRevision: written.revision, leaseId: lease.id }, lease)
  }

  /** A lease with its whole life before it; one that etcd has forgotten is replaced. */
  async #freshLease(by: Deadline): Promise<Renewal> {
    const renewed = await this.#parts.dcs.keepAlive(await this.ensureLease(by), by)
    if (renewed.outcome !== 'lost') return renewed
    this.#lease = undefined
    const leaseId = await this.ensureLease(by)
    return this.#parts.dcs.keepAlive(leaseId, by)
  }

  /** Takes the leader key if it is absent. `unknown` must be followed by a read. */
  async acquire(
    by: Deadline,
    also: readonly Write[] = [],
    conditions: readonly Condition[] = [],
  ): Promise<Outcome> {
    const renewed = await this.#freshLease(by)
    if (renewed.outcome !== 'won') return renewed.outcome
    const leaseId = renewed.lease.id
    const written = await acquireLeader(this.#parts.dcs, this.#parts.name, leaseId, by, also, conditions)
    if (written.outcome === 'won' && written.revision !== undefined) {
      const { revision } = written
      this.#take(
        { name: this.#parts.name, createRevision: revision, modRevision: revision, leaseId },
        renewed.lease,
      )
    }
    return written.outcome
  }

  /** Puts our own name, found in the key after a restart, under our new lease. */
  async reattach(leader: LeaderKey, by: Deadline): Promise<Outcome> {
    const renewed = await this.#freshLease(by)
    if (renewed.outcome !== 'won') return renewed.outcome
    const leaseId = renewed.lease.id
    const written = await reattachLeader(this.#parts.dcs, holdOf(leader), leaseId, by)
    if (written.outcome === 'won' && written.revision !== undefined) {
      this.#take({ ...holdOf(leader), modRevision: written.revision, leaseId }, renewed.lease)
    }
    return written.outcome
  }

  /** Adopts a leader key that already hangs on our own lease (an acquire whose answer was lost). */
  adopt(leader: LeaderKey): boolean {
    const lease = this.#lease
    if (lease === undefined || leader.leaseId !== lease.id || leader.name !== this.#parts.name) return false
    this.#take(holdOf(leader), lease)
    return true
  }

  /** Gives the key up. Call only when the server is stopped or a standby. The hold is gone whatever the outcome. */
  async release(by: Deadline, also: readonly Write[] = []): Promise<Outcome> {
    const hold = this.#hold
    if (hold === undefined) return 'lost'
    this.#hold = undefined
    const written = await releaseLeader(this.#parts.dcs, hold, by, also)
    return written.outcome
  }

  /**
   * Compares the hold with the key as just read (linearizable, one read at a time); ends the hold when they differ. An
   * answer older than our own last write says nothing. Another cluster id or a smaller revision than read before means
   * that etcd was restored or replaced: no key of the old store is ours any more.
   */
  verify(leader: LeaderKey | undefined, position: Position): void {
    const seen = this.#seen
    this.#seen = position
    const hold = this.#hold
    if (hold === undefined) {
      this.#isSuspect = false
      return
    }
    const isReplaced =
      seen !== undefined && (seen.clusterId !== position.clusterId || position.revision < seen.revision)
    if (isReplaced) this.drop('etcd was restored or replaced')
    else if (position.revision >= hold.modRevision) this.#compare(hold, leader)
  }

  #compare(hold: LeaderHold, leader: LeaderKey | undefined): void {
    if (leader === undefined) this.drop('the leader key is gone')
    else if (leader.createRevision !== hold.createRevision || leader.name !== hold.name) {
      this.drop(`the leader key belongs to ${leader.name} now`)
    } else if (leader.leaseId !== hold.leaseId) this.drop('the leader key hangs on a lease that is not ours')
    else {
      this.#hold = holdOf(leader)
      this.#isSuspect = false
    }
  }

  /** Ends the hold. What is left of the lease's time, at most one margin, remains for an orderly stop. */
  drop(why: string): void {
    if (this.#hold === undefined) return
    this.#hold = undefined
    this.#isSuspect = false
    this.#parts.onLost(why)
  }

  #take(hold: LeaderHold, lease: Lease): void {
    this.#hold = hold
    this.#isSuspect = false
    this.#note(lease)
  }

  #note(lease: Lease): void {
    this.#lease = lease
    const ttlMs = Math.min(lease.ttlSeconds * 1000, this.#timings.ttlMs)
    // Counted from before the request left: the server's lease always ends later than this.
    this.#safeUntilMs = lease.sentAtMs + ttlMs - marginMs(this.#timings)
  }

  #arm(): void {
    if (this.#isStopped) return
    this.#timer = this.#parts.clock.setTimer(renewalIntervalMs(this.#timings), () => {
      this.#arm()
      void this.#renew()
    })
  }

  async #renew(): Promise<void> {
    const lease = this.#lease
    if (lease === undefined || this.#isRenewing) return
    const { clock, dcs, log } = this.#parts
    const { loopWaitMs, retryTimeoutMs } = this.#timings
    const loopSilentMs = clock.monotonicMs() - this.#turnBeganAtMs
    if (loopSilentMs > loopWaitMs + retryTimeoutMs + LOOP_GRACE_MS) {
      log.warning(`not renewing the lease: the loop has not begun a turn for ${Math.round(loopSilentMs)} ms`)
      return
    }
    this.#isRenewing = true
    try {
      const beganAtMs = clock.monotonicMs()
      const by = Deadline.in(clock, Math.max(renewalIntervalMs(this.#timings), 500))
      const renewed = await dcs.keepAlive(lease.id, by)
      if (this.#lease?.id !== lease.id) return
      if (renewed.outcome === 'won') {
        this.#note(renewed.lease)
        this.#parts.onRenewed(clock.monotonicMs() - beganAtMs)
      } else if (renewed.outcome === 'lost') {
        this.#lease = undefined
        this.drop('the lease ended in etcd')
      }
    } catch (error) {
      log.warning(`lease renewal failed: ${messageOf(error)}`)
    } finally {
      this.#isRenewing = false
    }
  }
}
