// Until when leadership is safe by our own clock. Two things must hold: the lease that the key hangs on cannot have ended,
// and whoever renews it is still etcd's raft leader. A raft leader that is cut off together with us goes on renewing for a
// moment, while the others already count the lease's whole time from their own election; a linearizable answer proves that
// this had not happened when it was asked for. The argument is in docs/design.md, "The lease".

import type { Lease } from '../dcs/dcs.ts'
import { marginMs } from './lease-timings.ts'

/** An instant on a clock that stands still while the machine sleeps; `sleptMs` is how much it had slept by then. */
export interface Instant {
  readonly atMs: number
  readonly sleptMs: number
}

/** How long the machine had slept when the lease's request left: what it sleeps after that is gone from the lease. */
export type DatedLease = Lease & { readonly sleptMs: number }

/** Clocks of two machines may differ by this part of a time. */
const DRIFT = 0.01

export class LeaseDeadline {
  /** How long the machine has slept since we began. */
  #suspendedMs = 0
  #renewedAtMs = Number.NEGATIVE_INFINITY
  #leaseEndsMs = Number.NEGATIVE_INFINITY
  #provenUntilMs = Number.NEGATIVE_INFINITY
  #movedEndsMs = Number.POSITIVE_INFINITY
  #extendedUntilMs = Number.NEGATIVE_INFINITY
  #provenAtMs = Number.NEGATIVE_INFINITY
  #extendedAtMs = Number.NEGATIVE_INFINITY

  get suspendedMs(): number {
    return this.#suspendedMs
  }

  /** When the last renewal that won was sent. */
  get renewedAtMs(): number {
    return this.#renewedAtMs
  }

  /** The last deadline that came from the other members' word. */
  get extendedUntilMs(): number {
    return this.#extendedUntilMs
  }

  /** When that word was asked for. */
  get extendedAtMs(): number {
    return this.#extendedAtMs
  }

  /** The monotonic instant after which nobody may be a primary on the strength of this. */
  get safeUntilMs(): number {
    return Math.max(this.#byLeaseMs(), this.#extendedUntilMs)
  }

  /** Since when our leadership has been certain for a ttl: the older of the two things that must hold, or the others' word. */
  get provenSinceMs(): number {
    return Math.max(Math.min(this.#renewedAtMs, this.#provenAtMs), this.#extendedAtMs)
  }

  /** Has the deadline come from the others' word? */
  get isExtended(): boolean {
    return this.#extendedUntilMs > this.#byLeaseMs()
  }

  /** On a clock that stands still while the machine sleeps: as if the instant had been that much earlier. */
  since({ atMs, sleptMs }: Instant): number {
    return atMs - (this.#suspendedMs - sleptMs)
  }

  sentAtMs({ sentAtMs, sleptMs }: DatedLease): number {
    return this.since({ atMs: sentAtMs, sleptMs })
  }

  /** A renewal: counted from before its request left, the server's lease ends later than this. */
  renewed(lease: DatedLease, askedTtlMs: number): void {
    this.#renewedAtMs = this.sentAtMs(lease)
    this.#leaseEndsMs = this.#endOf(lease, askedTtlMs)
  }

  /** The key hangs on a lease of this ttl since a write that left at this instant: what was proven of another one is over. */
  taken(asked: Instant, ttlMs: number): void {
    this.#provenUntilMs = Number.NEGATIVE_INFINITY
    this.#provenAtMs = Number.NEGATIVE_INFINITY
    this.proven(asked, ttlMs)
  }

  /** A linearizable answer, asked for at this instant, knew the key on its lease of this ttl. */
  proven(asked: Instant, ttlMs: number): void {
    const atMs = this.since(asked)
    this.#provenAtMs = Math.max(this.#provenAtMs, atMs)
    this.#provenUntilMs = Math.max(this.#provenUntilMs, atMs + ttlMs * (1 - DRIFT))
  }

  /** The key may hang on this other lease already, which nobody renews before that is known. */
  moving(lease: DatedLease): void {
    this.#movedEndsMs = this.#endOf(lease, Number.POSITIVE_INFINITY)
  }

  moved(): void {
    this.#movedEndsMs = Number.POSITIVE_INFINITY
  }

  /** The others' word counts whatever becomes of our lease; it is never shortened by a later one. */
  extended(untilMs: number, sentAtMs: number): void {
    this.#extendedUntilMs = untilMs
    this.#extendedAtMs = sentAtMs
  }

  noLongerExtended(): void {
    this.#extendedUntilMs = Number.NEGATIVE_INFINITY
    this.#extendedAtMs = Number.NEGATIVE_INFINITY
  }

  /** The machine slept this long: every time in etcd went on. */
  loseTime(suspendedMs: number): void {
    this.#suspendedMs += suspendedMs
    this.#renewedAtMs -= suspendedMs
    this.#leaseEndsMs -= suspendedMs
    this.#provenUntilMs -= suspendedMs
    this.#movedEndsMs -= suspendedMs
    this.#extendedUntilMs -= suspendedMs
    this.#provenAtMs -= suspendedMs
    this.#extendedAtMs -= suspendedMs
  }

  #byLeaseMs(): number {
    return Math.min(this.#leaseEndsMs, this.#provenUntilMs, this.#movedEndsMs)
  }

  #endOf(lease: DatedLease, askedTtlMs: number): number {
    const ttlMs = Math.min(lease.ttlSeconds * 1000, askedTtlMs)
    return this.sentAtMs(lease) + ttlMs - marginMs(ttlMs)
  }
}
