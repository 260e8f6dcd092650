// Sessions that wait for a backend: in order of their arrival, bounded in number and in time.

import type { ListenerConfig } from '../config/proxy/types.ts'
import type { Clock, Timer } from '../platform/clock.ts'

export interface HoldOptions<T> {
  readonly clock: Clock
  readonly capacity: number
  readonly holdMs: number
  /** Called once for each item whose time is up, after it left the queue. */
  readonly onExpired: (item: T) => void
}

interface Place<T> {
  readonly item: T
  readonly sinceMs: number
}

/** A bounded queue with one deadline for all: the longer an item has waited, the sooner it is served or expires. */
export class HoldQueue<T> {
  readonly #options: HoldOptions<T>
  #places: Place<T>[] = []
  #timer: Timer | undefined

  constructor(options: HoldOptions<T>) {
    this.#options = options
  }

  get size(): number {
    return this.#places.length
  }

  get holdMs(): number {
    return this.#options.holdMs
  }

  /** Would `offer` take somebody who waits since then? Default: from now on. */
  takes(sinceMs: number = this.#options.clock.monotonicMs()): boolean {
    const { capacity, holdMs, clock } = this.#options
    return this.#places.length < capacity && clock.monotonicMs() < sinceMs + holdMs
  }

  /**
   * Puts an item where its `sinceMs` belongs, so that one which comes back keeps its turn. False: the queue is full or
   * its time is already up, nothing was queued.
   */
  offer(item: T, sinceMs: number): boolean {
    if (!this.takes(sinceMs)) return false
    let at = this.#places.length
    while (at > 0 && (this.#places[at - 1]?.sinceMs ?? 0) > sinceMs) at -= 1
    this.#places.splice(at, 0, { item, sinceMs })
    if (at === 0) this.#arm()
    return true
  }

  /** Takes an item out, for example because its client hung up. False: it was not there. */
  leave(item: T): boolean {
    const at = this.#places.findIndex(place => place.item === item)
    if (at < 0) return false
    this.#places.splice(at, 1)
    if (at === 0) this.#arm()
    return true
  }

  /** Takes the `count` items out that have waited longest, in order. */
  take(count: number): readonly T[] {
    const items = this.#places.splice(0, count).map(place => place.item)
    if (items.length > 0) this.#arm()
    return items
  }

  /** Empties the queue and returns all items in order. */
  takeAll(): readonly T[] {
    return this.take(this.#places.length)
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const first = this.#places[0]
    if (first === undefined) return
    const { clock, holdMs } = this.#options
    this.#timer = clock.setTimer(first.sinceMs + holdMs - clock.monotonicMs(), () => this.#expire())
  }

  #expire(): void {
    const { clock, holdMs, onExpired } = this.#options
    const limitMs = clock.monotonicMs() - holdMs
    const firstKept = this.#places.findIndex(place => place.sinceMs > limitMs)
    const expired = this.#places.splice(0, firstKept < 0 ? this.#places.length : firstKept)
    this.#arm()
    for (const place of expired) onExpired(place.item)
  }
}

/** How many may wait for servers that are full: as configured, what the servers' own limits say, or as many as for a leader. */
export function queueMax({ queueMax: said, servers, onNoBackend, connectionsMax }: ListenerConfig): number {
  if (said !== undefined) return said
  const limits = servers.map(({ queueMax: max }) => max)
  if (limits.some(max => max === undefined) || limits.length === 0)
    return Math.max(onNoBackend.heldMax, Math.min(connectionsMax, 10_000))
  return limits.reduce<number>((sum, max) => sum + (max ?? 0), 0)
}
