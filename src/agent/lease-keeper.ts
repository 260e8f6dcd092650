// Holds this member's lease and knows until when leadership is safe. Renews on its own timer, whatever the loop does,
// but only while the loop lives: a hung loop must lose the lock. It decides nothing and touches no server.

import type { LeaderKey, Position } from '../cluster/view.ts'
import { type Condition, holdOf, type LeaderHold, type Outcome, type Write } from '../dcs/dcs.ts'
import { acquireLeader, reattachLeader, releaseLeader } from '../dcs/leadership.ts'
import type { Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { type DatedLease, type Instant, LeaseDeadline } from './lease-deadline.ts'
import type { Asked, DatedRenewal, LeaseKeeperParts } from './lease-keeper-parts.ts'
import { type LeaseTimings, type Loss, marginMs, renewalIntervalMs, usefulMs } from './lease-timings.ts'

const LOOP_GRACE_MS = 2_000
/**
 * Renewals that may be under way at the same time. One after the other, an etcd whose answers take longer than the fence
 * leaves would lose the lease although every renewal succeeds.
 */
const RENEWALS_MAX = 5

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts
  #timings: LeaseTimings
  #lease: DatedLease | undefined
  /** The ttl that our lease was asked for; etcd may have granted more. */
  #askedTtlMs: number
  #hold: LeaderHold | undefined
  #seen: Position | undefined
  readonly #deadline = new LeaseDeadline()
  /** The hold ended while the others' word kept us, and nobody else has the key: that word alone counts on. */
  #isKeptByOthers = false
  /** After a long pause the hold counts for nothing until the key has been read. */
  #isSuspect = false
  #turnBeganAtMs: number
  /** When the last read was asked for; the view that everybody goes by is its answer. */
  #readAsked: Instant | undefined
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

  /** What `verify` must know of a read that begins now: take it before the request leaves. */
  ask(): Asked {
    const { suspendedMs: sleptMs } = this.#deadline
    return { seen: this.#seen, atMs: this.#parts.clock.monotonicMs(), sleptMs }
  }

  get leaseId(): bigint | undefined {
    return this.#lease?.id
  }

  get hold(): LeaderHold | undefined {
    return this.#hold
  }

  /** The monotonic instant after which we must not be a primary; -Infinity when nothing allows it any more. */
  get safeUntilMs(): number {
    if (this.#hold !== undefined) return this.#deadline.safeUntilMs
    return this.#isKeptByOthers ? this.#deadline.extendedUntilMs : Number.NEGATIVE_INFINITY
  }

  /** May the others' word be asked for? They must have kept us until now, by the key or by the word they gave before. */
  get isExtensible(): boolean {
    return !this.#isSuspect && this.safeUntilMs > this.#parts.clock.monotonicMs()
  }

  /** Leadership left by our own clock; 0 when not the leader or when the hold is in doubt. */
  leftMs(): number {
    if (this.#hold === undefined || this.#isSuspect) return 0
    return Math.max(0, this.#deadline.safeUntilMs - this.#parts.clock.monotonicMs())
  }

  /** For how long a primary may go on, by the key or by the others' word; 0 when that is over or in doubt. */
  primaryLeftMs(): number {
    return this.isExtensible ? this.safeUntilMs - this.#parts.clock.monotonicMs() : 0
  }

  /** When the last renewal that won was sent. */
  get renewedAtMs(): number {
    return this.#deadline.renewedAtMs
  }

  /** Since when our leadership has been certain for a ttl; without the key by the others' word alone. */
  get provenSinceMs(): number {
    return this.#hold === undefined ? this.#deadline.extendedAtMs : this.#deadline.provenSinceMs
  }

  /** The last deadline that came from the other members' word; it counts although the hold may be lost by now. */
  get extendedUntilMs(): number {
    return this.#deadline.extendedUntilMs
  }

  /** Has the deadline come from the others' word? */
  get isExtended(): boolean {
    return this.#hold === undefined ? this.#isKeptByOthers : this.#deadline.isExtended
  }

  /** The loop has begun a turn in time: a hung one must lose the lock. */
  isLoopAlive(): boolean {
    const { loopWaitMs, retryTimeoutMs } = this.#timings
    const silentMs = this.#parts.clock.monotonicMs() - this.#turnBeganAtMs
    return silentMs <= loopWaitMs + retryTimeoutMs + LOOP_GRACE_MS
  }

  /** All other members promised at `sentAtMs` or later not to lead for `ttlMs`. A deadline that has passed is not brought back. */
  extend(sentAtMs: number, ttlMs: number): boolean {
    if (!this.isExtensible) return false
    this.#deadline.extended(sentAtMs + ttlMs - marginMs(ttlMs), sentAtMs)
    this.#parts.onProven?.()
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
    this.#deadline.loseTime(suspendedMs)
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
    const { suspendedMs: sleptMs } = this.#deadline
    const granted = { ...(await this.#parts.dcs.grantLease(Math.ceil(ttlMs / 1000), by)), sleptMs }
    if (this.#hold !== undefined) await this.#moveHold(this.#hold, granted, ttlMs, by)
    this.#lease = granted
    this.#askedTtlMs = ttlMs
    return granted.id
  }

  async #moveHold(hold: LeaderHold, lease: DatedLease, ttlMs: number, by: Deadline): Promise<void> {
    const asked = this.ask()
    this.#deadline.moving(lease)
    const written = await reattachLeader(this.#parts.dcs, hold, lease.id, by).finally(() =>
      this.#deadline.moved(),
    )
    // Surely not written: the key hangs where it hung, and the next turn tries again.
    if (written.outcome === 'unreachable') {
      const says = 'the leader key could not move to a new lease: etcd did not take it'
      throw new HaError('E_DCS_UNREACHABLE', says, { retryable: true })
    }
    if (written.outcome !== 'won' || written.revision === undefined) {
      this.drop(`the leader key could not move to a new lease (${written.outcome})`)
      return
    }
    this.#askedTtlMs = ttlMs
    this.#saw(written.revision)
    this.#take({ ...hold, modRevision: written.revision, leaseId: lease.id }, lease, asked)
  }

  /** A lease with its whole life before it; one that etcd has forgotten is replaced. */
  async #freshLease(by: Deadline): Promise<DatedRenewal> {
    const renewed = await this.#keepAlive(await this.ensureLease(by), by)
    if (renewed.outcome !== 'lost') return renewed
    this.#lease = undefined
    return this.#keepAlive(await this.ensureLease(by), by)
  }

  async #keepAlive(leaseId: bigint, by: Deadline): Promise<DatedRenewal> {
    const { suspendedMs: sleptMs } = this.#deadline
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
    const asked = this.ask()
    const written = await acquireLeader(this.#parts.dcs, this.#parts.name, leaseId, by, also, conditions)
    if (written.outcome === 'won' && written.revision !== undefined) {
      const { revision } = written
      this.#saw(revision)
      this.#take(
        { name: this.#parts.name, createRevision: revision, modRevision: revision, leaseId },
        renewed.lease,
        asked,
      )
    }
    return written.outcome
  }

  /** Puts our own name, found in the key after a restart, under our new lease. */
  async reattach(leader: LeaderKey, by: Deadline): Promise<Outcome> {
    const renewed = await this.#freshLease(by)
    if (renewed.outcome !== 'won') return renewed.outcome
    const leaseId = renewed.lease.id
    const asked = this.ask()
    const written = await reattachLeader(this.#parts.dcs, holdOf(leader), leaseId, by)
    if (written.outcome === 'won' && written.revision !== undefined) {
      this.#saw(written.revision)
      this.#take({ ...holdOf(leader), modRevision: written.revision, leaseId }, renewed.lease, asked)
    }
    return written.outcome
  }

  /** Adopts a leader key that already hangs on our own lease (an acquire whose answer was lost). */
  adopt(leader: LeaderKey, asked = this.#readAsked): boolean {
    const lease = this.#lease
    if (asked === undefined) return false
    if (lease === undefined || leader.leaseId !== lease.id || leader.name !== this.#parts.name) return false
    this.#take(holdOf(leader), lease, asked)
    return true
  }

  /**
   * Gives the key up. Call only when the server is stopped or a standby. The hold is gone whatever the outcome, and its lease
   * with it: a key that is still there ends with the lease, and one that a restored etcd brings back is never taken for ours.
   */
  async release(by: Deadline, also: readonly Write[] = []): Promise<Outcome> {
    const hold = this.#hold
    if (hold === undefined) return 'lost'
    this.#hold = undefined
    this.#lease = undefined
    this.#isKeptByOthers = false
    return (await releaseLeader(this.#parts.dcs, hold, by, also)).outcome
  }

  /**
   * Compares the hold with the key as just read (linearizable); ends the hold when they differ. An answer older than our
   * own last write says nothing. Another cluster id or a smaller revision than was seen before that read was sent means
   * that etcd was restored or replaced: no key of the old store is ours any more.
   */
  verify(leader: LeaderKey | undefined, position: Position, asked = this.ask()): void {
    const { seen } = asked
    this.#readAsked = asked
    const isAhead = this.#seen?.clusterId === position.clusterId && this.#seen.revision > position.revision
    const hasGoneBack =
      seen !== undefined && (seen.clusterId !== position.clusterId || position.revision < seen.revision)
    if (!isAhead || hasGoneBack) this.#seen = position
    const hold = this.#hold
    if (hold === undefined) {
      this.#isSuspect = false
      const isOthers = leader !== undefined && leader.name !== this.#parts.name
      if (isOthers || hasGoneBack) this.#endWord(isOthers ? `${leader.name} leads` : 'etcd was restored')
      return
    }
    if (hasGoneBack) this.drop('etcd was restored or replaced', 'overtaken', leader?.leaseId)
    else if (position.revision >= hold.modRevision) this.#compare(hold, leader, asked)
  }

  #compare(hold: LeaderHold, leader: LeaderKey | undefined, asked: Instant): void {
    if (leader === undefined) {
      const isLeaseSafe = this.#parts.clock.monotonicMs() < this.#deadline.safeUntilMs && !this.#isSuspect
      this.drop('the leader key is gone', isLeaseSafe ? 'vacant' : 'overtaken')
    } else if (leader.createRevision !== hold.createRevision || leader.name !== hold.name) {
      this.drop(`the leader key belongs to ${leader.name} now`)
    } else if (leader.leaseId !== hold.leaseId) this.drop('the leader key hangs on a lease that is not ours')
    else {
      this.#hold = holdOf(leader)
      this.#isSuspect = false
      this.#deadline.proven(asked, this.#askedTtlMs)
      this.#parts.onProven?.()
    }
  }

  /**
   * Ends the hold. What is left of the lease's time, as much as the loss allows, remains for an orderly stop. A lease serves
   * one term, unless a restored etcd has our key on it (`foundOn`): somebody else may lead before it is named again.
   */
  drop(why: string, loss: Loss = 'overtaken', foundOn?: bigint): void {
    if (this.#hold === undefined) return
    const isSure = !this.#isSuspect
    this.#hold = undefined
    this.#isSuspect = false
    if (this.#lease?.id !== foundOn) this.#lease = undefined
    if (loss === 'overtaken') this.#deadline.noLongerExtended()
    this.#isKeptByOthers = isSure && this.#deadline.isExtended
    this.#parts.onLost(why, loss)
  }

  /** The others' word kept a leader without a key, and no longer does. */
  #endWord(why: string): void {
    const wasKept = this.isExtensible
    this.#isKeptByOthers = false
    this.#deadline.noLongerExtended()
    if (wasKept) this.#parts.onLost(`the others' word counts no more: ${why}`, 'overtaken')
  }

  #take(hold: LeaderHold, lease: DatedLease, asked: Instant): void {
    this.#hold = hold
    this.#isKeptByOthers = false
    this.#isSuspect = false
    this.#deadline.taken(asked, this.#askedTtlMs)
    this.#note(lease)
    this.#parts.onProven?.()
  }

  #note(lease: DatedLease): void {
    const [current, deadline] = [this.#lease, this.#deadline]
    // Renewals overlap while etcd is slow: an older one that is answered late takes nothing away.
    if (current?.id === lease.id && deadline.sentAtMs(lease) < deadline.sentAtMs(current)) return
    this.#lease = lease
    deadline.renewed(lease, this.#askedTtlMs)
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
        this.#parts.onProven?.()
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
