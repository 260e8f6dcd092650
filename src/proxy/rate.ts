// Token buckets: how often something may happen, in all or for each source. Bounded in memory.

import type { Clock } from '../platform/clock.ts'

const SOURCES_MAX = 10_000

interface Bucket {
  tokens: number
  atMs: number
}

/** One bucket: `perSecond` on average, `burst` at once. */
export class Rate {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #bucket: Bucket

  constructor(clock: Clock, perSecond: number, burst = perSecond) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = Math.max(1, burst)
    this.#bucket = { tokens: this.#burst, atMs: clock.monotonicMs() }
  }

  /** Takes one; false: there is none now. */
  take(): boolean {
    return takeFrom(this.#bucket, this.#clock.monotonicMs(), this.#perSecond, this.#burst)
  }

  /** How long until there is one. */
  waitMs(): number {
    refill(this.#bucket, this.#clock.monotonicMs(), this.#perSecond, this.#burst)
    return this.#bucket.tokens >= 1 ? 0 : ((1 - this.#bucket.tokens) / this.#perSecond) * 1000
  }
}

/** A bucket for each source. The sources heard longest ago are forgotten when there are too many. */
export class SourceRate {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, perSecond: number, burst = perSecond) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = Math.max(1, burst)
  }

  take(source: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(source) ?? { tokens: this.#burst, atMs: nowMs }
    // Put behind all others: the order of the map is the order of last use.
    this.#buckets.delete(source)
    this.#buckets.set(source, bucket)
    if (this.#buckets.size > SOURCES_MAX) this.#forgetOldest()
    return takeFrom(bucket, nowMs, this.#perSecond, this.#burst)
  }

  get size(): number {
    return this.#buckets.size
  }

  #forgetOldest(): void {
    const { value } = this.#buckets.keys().next()
    if (value !== undefined) this.#buckets.delete(value)
  }
}

function refill(bucket: Bucket, nowMs: number, perSecond: number, burst: number): void {
  bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond)
  bucket.atMs = nowMs
}

function takeFrom(bucket: Bucket, nowMs: number, perSecond: number, burst: number): boolean {
  refill(bucket, nowMs, perSecond, burst)
  if (bucket.tokens < 1) return false
  bucket.tokens -= 1
  return true
}
