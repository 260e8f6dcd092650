// Where an encrypted connection of a pool of reads goes that may be a cancel request. Nobody but the server can tell it from a
// session, and the one server that knows its key is the one where a statement of the same client runs. So it goes there, as long
// as real sessions do not pile up by it.

import type { Clock } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import type { Candidate } from './balance.ts'
import type { RelayCounters } from './relay/relay.ts'

/** A statement that is answered sooner is over before somebody wants to stop it. */
const WAITS_MS = 100
/** Somebody may want to stop it twice; further connections are sessions. */
const DRAWS_MAX = 2
/** Before that a client's connections are a pool that is being filled. */
const SETTLED_MS = 1000
/** Sessions of one client on one server above its share: while a statement waits there, and otherwise. */
const SLACK_WAITING = 2
const SLACK_QUIET = 0.5
/** Of one client's sessions the newest are looked at. */
const LOOKED_AT_MAX = 256

/** An encrypted session. */
export interface Opaque {
  readonly backend: Backend | undefined
  counters(): RelayCounters | undefined
}

interface Entry {
  readonly session: Opaque
  readonly backend: string
  readonly sinceMs: number
  /** Connections that its present statement has drawn, and when that statement was sent. */
  drawn: number
  drawnAtMs: number
}

/** Encrypted sessions by client address: one entry for each session of the listener at most. */
export class Affinity {
  readonly #clock: Clock
  readonly #bySource = new Map<string, Map<Opaque, Entry>>()
  readonly #sources = new Map<Opaque, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#sources.size
  }

  /** A session of this client goes to this server. */
  note(source: string, session: Opaque, backend: Backend): void {
    this.forget(session)
    const entries = this.#bySource.get(source) ?? new Map<Opaque, Entry>()
    const sinceMs = this.#clock.monotonicMs()
    entries.set(session, { session, backend: backend.name, sinceMs, drawn: 0, drawnAtMs: sinceMs })
    this.#bySource.set(source, entries)
    this.#sources.set(session, source)
  }

  forget(session: Opaque): void {
    const source = this.#sources.get(session)
    if (source === undefined) return
    this.#sources.delete(session)
    const entries = this.#bySource.get(source)
    entries?.delete(session)
    if (entries?.size === 0) this.#bySource.delete(source)
  }

  /** The server that a new encrypted connection of this client goes to; undefined: whose turn it is. */
  draw(source: string, candidates: readonly Candidate[]): string | undefined {
    const entries = [...(this.#bySource.get(source)?.values() ?? [])].slice(-LOOKED_AT_MAX)
    if (entries.length === 0) return undefined
    const nowMs = this.#clock.monotonicMs()
    const shares = new Shares(entries, candidates)
    const seen = entries
      .map(entry => ({ entry, counters: entry.session.counters() }))
      .sort((a, b) => (b.counters?.lastActivityMs ?? 0) - (a.counters?.lastActivityMs ?? 0))
    for (const { entry, counters } of seen) {
      if (counters?.isUnanswered !== true || nowMs - counters.lastActivityMs < WAITS_MS) continue
      if (this.#isDrawnOut(entry, counters.lastActivityMs)) continue
      if (!shares.hasRoom(entry.backend, SLACK_WAITING)) continue
      entry.drawn += 1
      return entry.backend
    }
    const quiet = seen.find(
      ({ entry, counters }) =>
        counters !== undefined &&
        nowMs - entry.sinceMs >= SETTLED_MS &&
        shares.hasRoom(entry.backend, SLACK_QUIET),
    )
    return quiet?.entry.backend
  }

  #isDrawnOut(entry: Entry, sentAtMs: number): boolean {
    if (entry.drawnAtMs !== sentAtMs) Object.assign(entry, { drawn: 0, drawnAtMs: sentAtMs })
    return entry.drawn >= DRAWS_MAX
  }
}

/** How these sessions are spread over the candidates, counted once for all questions of one draw. */
class Shares {
  readonly #weights: ReadonlyMap<string, number>
  readonly #counts = new Map<string, number>()
  readonly #weightSum: number
  #all = 0

  constructor(entries: readonly Entry[], candidates: readonly Candidate[]) {
    this.#weights = new Map(candidates.map(({ name, weight }) => [name, weight]))
    this.#weightSum = candidates.reduce((sum, { weight }) => sum + weight, 0)
    for (const { backend } of entries) {
      if (!this.#weights.has(backend)) continue
      this.#all += 1
      this.#counts.set(backend, (this.#counts.get(backend) ?? 0) + 1)
    }
  }

  /** Is it a candidate that has no more of these sessions than its weight gives it, and `slack` besides? */
  hasRoom(name: string, slack: number): boolean {
    const weight = this.#weights.get(name) ?? 0
    if (weight === 0) return false
    return (this.#counts.get(name) ?? 0) <= (this.#all * weight) / this.#weightSum + slack
  }
}
