// Keeps every fact about members that routes are decided from, and gives them out as one snapshot. Decides nothing.

import type { Holding } from '../cluster/registration.ts'
import { type FailoverRequest, parseRequest } from '../cluster/request.ts'
import type { SyncState } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { OnDcsLoss } from '../config/proxy/types.ts'
import { type CheckRule, judgeCheck } from '../health/check-verdict.ts'
import type { CounterLimits } from '../health/counter.ts'
import type { ProbeResult } from '../health/document.ts'
import {
  judge,
  judgeConnected,
  judgeRefusal,
  type MemberHealth,
  type ProbeTiming,
  unknownHealth,
} from '../health/verdict.ts'
import { type Lag, type LeaderPosition, lagOf, notePosition } from './lag.ts'
import type { Leadership } from './leadership.ts'
import type { PoolSpec } from './pool-members.ts'
import { Roster } from './roster.ts'
import type { Evidence, Ping, RoutingTable } from './route.ts'
import { type Closing, closingOf } from './watch-events.ts'

/** A request for a change of leader holds new sessions no longer than this. */
export const CLOSING_MS_MAX = 15_000
/** After the time that its transactions get, a server may take so long to stop. */
const STOP_MS = 10_000

/** Which epoch ends, by a word that was written in `revision`. */
export interface Announced extends Holding {
  /** How long its transactions get; undefined: it does not say. */
  readonly drainMs: number | undefined
}

export interface BookOptions {
  readonly limits: CounterLimits
  readonly timing: ProbeTiming
  readonly pools: readonly PoolSpec[]
  readonly needsPing: boolean
  readonly onDcsLoss: OnDcsLoss
  /** Set when leadership is told by checks of the file: how they are counted, by member. */
  readonly leaderRule?: (member: string) => CheckRule | undefined
}

export class EvidenceBook {
  readonly roster = new Roster()
  readonly health = new Map<string, MemberHealth>()
  readonly checks = new Map<string, Map<string, MemberHealth>>()
  readonly #options: BookOptions
  readonly #pings = new Map<string, Ping>()
  #positions: readonly LeaderPosition[] = []
  #sync: SyncState | undefined
  #request: { readonly value: FailoverRequest; readonly sinceMs: number } | undefined
  /** An agent of ours has announced that this epoch ends. */
  #closing: (Announced & { readonly untilMs: number }) | undefined

  constructor(options: BookOptions) {
    this.#options = options
  }

  at(nowMs: number, leadership: Leadership, previous: RoutingTable, isStoreSilent: boolean): Evidence {
    const { pools, needsPing, onDcsLoss } = this.#options
    return {
      nowMs,
      leadership,
      members: this.roster.members,
      health: this.health,
      pools,
      checks: this.checks,
      sync: this.#sync,
      lags: this.#lags(nowMs),
      pings: this.#pings,
      needsPing,
      onDcsLoss,
      isStoreSilent,
      isClosing: this.isClosing(leadership, nowMs),
      previous,
    }
  }

  probed(member: string, result: ProbeResult, isLeader: boolean): MemberHealth {
    const { limits, timing, leaderRule } = this.#options
    const before = this.health.get(member)
    const rule = leaderRule?.(member)
    const next =
      rule === undefined
        ? judge(before ?? unknownHealth, result, limits, timing)
        : judgeCheck(before, result, rule)
    this.health.set(member, next)
    const location = result.kind === 'answer' ? result.answer.location : undefined
    if (isLeader && location !== undefined && result.kind === 'answer') {
      this.#positions = notePosition(this.#positions, location, result.answer.receivedAtMs)
    }
    return next
  }

  checked(pool: string, member: string, result: ProbeResult, rule: CheckRule): void {
    const states = this.checks.get(pool) ?? new Map<string, MemberHealth>()
    states.set(member, judgeCheck(states.get(member), result, rule))
    this.checks.set(pool, states)
  }

  pinged(member: string, ping: Ping): void {
    this.#pings.set(member, ping)
  }

  /** A connection to the member's server failed. */
  refused(member: string, nowMs: number): void {
    const { limits, leaderRule } = this.#options
    const rule = leaderRule?.(member)
    const judged = rule === undefined ? 'told' : 'checked'
    const before = this.health.get(member) ?? unknownHealth
    this.health.set(member, judgeRefusal(before, nowMs, rule ?? limits, judged))
    for (const states of this.checks.values()) {
      const health = states.get(member)
      if (health !== undefined) states.set(member, judgeRefusal(health, nowMs, limits, 'checked'))
    }
  }

  /** A connection to the member's server succeeded. False: nothing was held against it. */
  connected(member: string): boolean {
    const health = this.health.get(member)
    if (health === undefined || health.refusals === 0) return false
    this.health.set(member, judgeConnected(health))
    return true
  }

  /** Takes everything that a read of the store tells, the leader apart. */
  applyView(view: ClusterView, nowMs: number): void {
    this.roster.replace(view.members.values(), nowMs)
    this.told(view.sync?.value, view.request?.value, nowMs)
    const closing = view.own.get('closing')
    this.announced(closingOf(closing?.value), closing?.modRevision, nowMs)
  }

  /**
   * Takes a key that tells of a change to come, as it was written in `revision`; any other key means nothing here. An empty
   * value: it was deleted.
   */
  applyKey(key: string, value: string, revision: bigint, nowMs: number): void {
    if (key === 'failover') this.requested(parseRequest(value), nowMs)
    if (key === 'pgherd/closing') this.announced(closingOf(value), revision, nowMs)
  }

  /** What the store says besides leader and members. */
  told(sync: SyncState | undefined, request: FailoverRequest | undefined, nowMs: number): void {
    this.#sync = sync
    this.requested(request, nowMs)
  }

  requested(request: FailoverRequest | undefined, nowMs: number): void {
    const isSame = JSON.stringify(request) === JSON.stringify(this.#request?.value)
    if (!isSame) this.#request = request === undefined ? undefined : { value: request, sinceMs: nowMs }
  }

  /**
   * An agent of ours says, in a word written in `revision`, that an epoch ends; undefined: no such word any more. The same word
   * is read again and again and counts from the first time; the same words anew are another switchover of that epoch.
   */
  announced(closing: Closing | undefined, revision: bigint | undefined, nowMs: number): void {
    if (closing === undefined || revision === undefined) {
      this.#closing = undefined
      return
    }
    const { createRevision, drainMs } = closing
    if (this.#closing?.createRevision === createRevision && this.#closing.revision === revision) return
    const lastsMs = Math.max(CLOSING_MS_MAX, (drainMs ?? 0) + STOP_MS)
    this.#closing = { createRevision, revision, drainMs, untilMs: nowMs + lastsMs }
  }

  /** The word of the present leader's own agent that its term ends, while it holds clients. */
  announcedEnd({ epoch, continuedAs }: Leadership, nowMs: number): Announced | undefined {
    const closing = this.#closing
    if (closing === undefined || epoch === undefined || nowMs >= closing.untilMs) return undefined
    // A leader that took its vanished key again speaks of the key that it holds now.
    return [epoch.createRevision, continuedAs].includes(closing.createRevision) ? closing : undefined
  }

  /** Is the present leader about to go, by an order or by its own word? Not for ever: an order may come to nothing. */
  isClosing(leadership: Leadership, nowMs: number): boolean {
    const { epoch } = leadership
    if (epoch === undefined) return false
    if (this.announcedEnd(leadership, nowMs) !== undefined) return true
    const request = this.#request
    if (request === undefined || nowMs - request.sinceMs >= CLOSING_MS_MAX) return false
    const { leader, candidate, scheduledAt } = request.value
    // The time of a planned change is the agents' business; its key is written anew when it begins.
    if (scheduledAt !== undefined) return false
    return leader === undefined ? candidate !== epoch.member : leader === epoch.member
  }

  /** Another leader: positions of the old one do not count. */
  forgetPositions(): void {
    this.#positions = []
  }

  forget(member: string): void {
    this.health.delete(member)
    this.#pings.delete(member)
  }

  /** Another store: nothing that was said before counts. */
  clear(): void {
    this.roster.clear()
    this.health.clear()
    this.#pings.clear()
    this.#positions = []
    this.#sync = undefined
    this.#request = undefined
    this.#closing = undefined
  }

  /** The host slept: whatever was proved before may have ended meanwhile. */
  voidProofs(): void {
    for (const [name, health] of this.health) {
      this.health.set(name, { ...health, leadsUntilMs: Number.NEGATIVE_INFINITY })
    }
    this.#pings.clear()
  }

  #lags(nowMs: number): ReadonlyMap<string, Lag> {
    const lags = new Map<string, Lag>()
    for (const [name, { answer }] of this.health) {
      const replayed = answer?.replayed
      const lag = replayed === undefined ? undefined : lagOf(this.#positions, replayed, nowMs)
      if (lag !== undefined) lags.set(name, lag)
    }
    return lags
  }
}
