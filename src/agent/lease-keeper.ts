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
import { HaError, messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { type LeaseTimings, type Loss, marginMs, renewalIntervalMs, usefulMs } from './lease-timings.ts'

const LOOP_GRACE_MS = 2_000
/**
 * Renewals that may be under way at the same time. One after the other, an etcd whose answers take longer than the fence
 * leaves would lose the lease although every renewal succeeds.
 */
const RENEWALS_MAX = 5

export interface LeaseKeeperParts {
  readonly dcs: Dcs
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
  /** Called when the hold is found lost, so that the loop runs at once. */
  readonly onLost: (why: string, loss: Loss) => void
  /** Called with the duration of each successful renewal. */
  readonly onRenewed: (tookMs: number) => void
}

/** How long the machine had slept when the lease's request left: what it sleeps after that is gone from the lease. */
type DatedLease = Lease & { readonly sleptMs: number }

type DatedRenewal = Exclude<Renewal, { outcome: 'won' }> | { outcome: 'won'; lease: DatedLease }

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts
  #timings: LeaseTimings
  #lease: DatedLease | undefined
  /** The ttl that our lease was asked for; etcd may have granted more. */
  #askedTtlMs: number
  #hold: LeaderHold | undefined
  #seen: Position | undefined
  /** How long the machine has slept since we began. */
  #suspendedMs = 0
  #safeUntilMs = Number.NEGATIVE_INFINITY
  #renewedAtMs = Number.NEGATIVE_INFINITY
  /** Until when the other members have promised not to lead. */
  #extendedUntilMs = Number.NEGATIVE_INFINITY
  #turnBeganAtMs: number
  /** While the key may hang on this other lease already: nobody renews that one, so our deadline lies before its end. */
  #movingTo: DatedLease | undefined
  /** After a long pause the hold counts for nothing until the key has been read. */
  #isSuspect = false
  #timer: Timer | undefined
  #isStopped = false
  #renewals = 0

  constructor(parts: LeaseKeeperParts, timings: LeaseTimings) {
    this.#parts = parts
    this.#timings = timings
    this.#askedTtlMs = timings.ttlMs
    this.#turnBeganAtMs = parts.clock.monotonicMs()
  }

  get timings(): LeaseTimings {
    return this.#timings
  }

  /** The ttl of the lease in force: a changed setting counts once a lease was granted for it. */
  get ttlMs(): number {
    return this.#askedTtlMs
  }

  /** The store as last seen: pass it to `verify` with the answer of a read that begins now. */
  get seen(): Position | undefined {
    return this.#seen
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

  /** When the last renewal that won was sent. */
  get renewedAtMs(): number {
    return this.#renewedAtMs
  }

  /** The last deadline that came from the other members' word; it counts although the hold may be lost by now. */
  get extendedUntilMs(): number {
    return this.#extendedUntilMs
  }

  /** Has the deadline come from the others' word since the last renewal? */
  get isExtended(): boolean {
    return this.#extendedUntilMs > this.#renewedAtMs + this.#askedTtlMs - marginMs(this.#askedTtlMs)
  }

  /** The loop has begun a turn in time: a hung one must lose the lock. */
  isLoopAlive(): boolean {
    const { loopWaitMs, retryTimeoutMs } = this.#timings
    const silentMs = this.#parts.clock.monotonicMs() - this.#turnBeganAtMs
    return silentMs <= loopWaitMs + retryTimeoutMs + LOOP_GRACE_MS
  }

  /** All other members promised at `sentAtMs` or later not to lead for a ttl. False when there is no hold to extend. */
  extend(sentAtMs: number): boolean {
    if (this.#hold === undefined || this.#isSuspect) return false
    const untilMs = sentAtMs + this.#askedTtlMs - marginMs(this.#askedTtlMs)
    // A deadline that has passed is not brought back: the fence has acted.
    if (this.#safeUntilMs <= this.#parts.clock.monotonicMs()) return false
    this.#extendedUntilMs = untilMs
    this.#safeUntilMs = Math.max(this.#safeUntilMs, untilMs)
    return true
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
    this.#extendedUntilMs -= suspendedMs
    this.#renewedAtMs -= suspendedMs
    this.#suspendedMs += suspendedMs
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
    const { ttlMs } = this.#timings
    const current = this.#lease
    // Compared with what was asked: etcd grants more than a ttl that its election timeout does not allow.
    if (current !== undefined && this.#askedTtlMs === ttlMs) return current.id
    const sleptMs = this.#suspendedMs
    const granted = { ...(await this.#parts.dcs.grantLease(Math.ceil(ttlMs / 1000), by)), sleptMs }
    if (this.#hold !== undefined) await this.#moveHold(this.#hold, granted, ttlMs, by)
    this.#lease = granted
    this.#askedTtlMs = ttlMs
    return granted.id
  }

  async #moveHold(hold: LeaderHold, lease: DatedLease, ttlMs: number, by: Deadline): Promise<void> {
    this.#movingTo = lease
    this.#setDeadline(this.#safeUntilMs)
    const written = await reattachLeader(this.#parts.dcs, hold, lease.id, by).finally(() => {
      this.#movingTo = undefined
    })
    // Surely not written: the key hangs where it hung, and the next turn tries again.
    if (written.outcome === 'unreachable')
      throw new HaError(
        'E_DCS_UNREACHABLE',
        'the leader key could not move to a new lease: etcd did not take it',
        {
          retryable: true,
        },
      )
    if (written.outcome !== 'won' || written.revision === undefined) {
      this.drop(`the leader key could not move to a new lease (${written.outcome})`)
      return
    }
    this.#askedTtlMs = ttlMs
    this.#saw(written.revision)
    this.#take({ ...hold, modRevision: written.revision, leaseId: lease.id }, lease)
  }

  /** A lease with its whole life before it; one that etcd has forgotten is replaced. */
  async #freshLease(by: Deadline): Promise<DatedRenewal> {
    const renewed = await this.#keepAlive(await this.ensureLease(by), by)
    if (renewed.outcome !== 'lost') return renewed
    this.#lease = undefined
    return this.#keepAlive(await this.ensureLease(by), by)
  }

  async #keepAlive(leaseId: bigint, by: Deadline): Promise<DatedRenewal> {
    const sleptMs = this.#suspendedMs
    const renewed = await this.#parts.dcs.keepAlive(leaseId, by)
    return renewed.outcome === 'won' ? { outcome: 'won', lease: { ...renewed.lease, sleptMs } } : renewed
  }

  /** Our own write is a sight of the store too. */
  #saw(revision: bigint): void {
    if (this.#seen !== undefined && revision > this.#seen.revision) this.#seen = { ...this.#seen, revision }
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
      this.#saw(revision)
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
      this.#saw(written.revision)
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

  /**
   * Gives the key up. Call only when the server is stopped or a standby. The hold is gone whatever the outcome; when the
   * key may still be there, its lease is not renewed any more and takes the key with it.
   */
  async release(by: Deadline, also: readonly Write[] = []): Promise<Outcome> {
    const hold = this.#hold
    if (hold === undefined) return 'lost'
    this.#hold = undefined
    const written = await releaseLeader(this.#parts.dcs, hold, by, also)
    if (written.outcome === 'unknown' || written.outcome === 'unreachable') this.#lease = undefined
    return written.outcome
  }

  /**
   * Compares the hold with the key as just read (linearizable); ends the hold when they differ. An answer older than our
   * own last write says nothing. Another cluster id or a smaller revision than was `seen` before that read was sent means
   * that etcd was restored or replaced: no key of the old store is ours any more.
   */
  verify(leader: LeaderKey | undefined, position: Position, seen = this.#seen): void {
    const isAhead = this.#seen?.clusterId === position.clusterId && this.#seen.revision > position.revision
    const hasGoneBack =
      seen !== undefined && (seen.clusterId !== position.clusterId || position.revision < seen.revision)
    if (!isAhead || hasGoneBack) this.#seen = position
    const hold = this.#hold
    if (hold === undefined) {
      this.#isSuspect = false
      return
    }
    if (hasGoneBack) this.drop('etcd was restored or replaced')
    else if (position.revision >= hold.modRevision) this.#compare(hold, leader)
  }

  #compare(hold: LeaderHold, leader: LeaderKey | undefined): void {
    if (leader === undefined) {
      const isLeaseSafe = this.#parts.clock.monotonicMs() < this.#safeUntilMs && !this.#isSuspect
      this.drop('the leader key is gone', isLeaseSafe ? 'vacant' : 'overtaken')
    } else if (leader.createRevision !== hold.createRevision || leader.name !== hold.name) {
      this.drop(`the leader key belongs to ${leader.name} now`)
    } else if (leader.leaseId !== hold.leaseId) this.drop('the leader key hangs on a lease that is not ours')
    else {
      this.#hold = holdOf(leader)
      this.#isSuspect = false
    }
  }

  /** Ends the hold. What is left of the lease's time, as much as the loss allows, remains for an orderly stop. */
  drop(why: string, loss: Loss = 'overtaken'): void {
    if (this.#hold === undefined) return
    this.#hold = undefined
    this.#isSuspect = false
    if (loss === 'overtaken') this.#extendedUntilMs = Number.NEGATIVE_INFINITY
    this.#parts.onLost(why, loss)
  }

  #take(hold: LeaderHold, lease: DatedLease): void {
    this.#hold = hold
    this.#isSuspect = false
    this.#note(lease)
  }

  #note(lease: DatedLease): void {
    const [current, sentAtMs] = [this.#lease, this.#sentAtMs(lease)]
    // Renewals overlap while etcd is slow: an older one that is answered late takes nothing away.
    if (current?.id === lease.id && sentAtMs < this.#sentAtMs(current)) return
    this.#lease = lease
    this.#renewedAtMs = sentAtMs
    this.#setDeadline(this.#endOf(lease, this.#askedTtlMs))
  }

  /** Until when a lease keeps others away, counted from before its request left: the server's ends later than this. */
  #endOf(lease: DatedLease, askedTtlMs: number): number {
    const ttlMs = Math.min(lease.ttlSeconds * 1000, askedTtlMs)
    return this.#sentAtMs(lease) + ttlMs - marginMs(ttlMs)
  }

  /** The others' word counts whatever becomes of our lease. */
  #setDeadline(leaseEndsMs: number): void {
    const moving = this.#movingTo
    const moved = moving === undefined ? leaseEndsMs : this.#endOf(moving, Number.POSITIVE_INFINITY)
    this.#safeUntilMs = Math.max(Math.min(leaseEndsMs, moved), this.#extendedUntilMs)
  }

  /** On a clock that stands still while the machine sleeps: as if the request had left that much earlier. */
  #sentAtMs({ sentAtMs, sleptMs }: DatedLease): number {
    return sentAtMs - (this.#suspendedMs - sleptMs)
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
    if (lease === undefined || this.#renewals >= RENEWALS_MAX) return
    const { clock, log } = this.#parts
    if (!this.isLoopAlive()) {
      const loopSilentMs = clock.monotonicMs() - this.#turnBeganAtMs
      log.warning(`not renewing the lease: the loop has not begun a turn for ${Math.round(loopSilentMs)} ms`)
      return
    }
    this.#renewals += 1
    try {
      const beganAtMs = clock.monotonicMs()
      const by = Deadline.in(clock, usefulMs(this.#askedTtlMs))
      const renewed = await this.#keepAlive(lease.id, by)
      if (this.#lease?.id !== lease.id) return
      if (renewed.outcome === 'won') {
        this.#note(renewed.lease)
        this.#parts.onRenewed(clock.monotonicMs() - beganAtMs)
      } else if (renewed.outcome === 'lost') {
        this.#lease = undefined
        this.drop('the lease ended in etcd', 'expired')
      }
    } catch (error) {
      log.warning(`lease renewal failed: ${messageOf(error)}`)
    } finally {
      this.#renewals -= 1
    }
  }
}
