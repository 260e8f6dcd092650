// Failsafe mode. A leader that cannot renew its lease asks every other member of the `failsafe` key to accept it for another
// ttl; only if all do, its deadline moves. A member that has accepted does not run for the lead until that time is over.
//
// Why it is safe: whoever is not in the key may not run for the lead, and whoever is in it has promised not to. The promise is
// counted from when it is given, the leader's deadline from before it was asked for, less a margin. The leader counts by the
// ttl of its old lease and says so: without etcd it does not hear of another one, which the others may have read already.

import type { JsonObject } from '../cluster/json.ts'
import type { Lsn } from '../cluster/lsn.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { FailsafeReply } from '../health/failsafe.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { LeaseKeeper } from './lease-keeper.ts'

/** Asks members (name -> api_url) to accept us; who does not answer has not accepted. */
export type AskFailsafe = (
  peers: ReadonlyMap<string, string>,
  body: JsonObject,
  by: Deadline,
) => Promise<readonly FailsafeReply[]>

/** What a leader without etcd asks of us. */
export interface FailsafeCall {
  readonly name: string
  readonly apiUrl: string | undefined
  readonly slots: Readonly<Record<string, Lsn>>
  /** For how long it will go by our word; undefined: it does not say. */
  readonly ttlMs: number | undefined
}

export interface FailsafeParts {
  readonly me: string
  readonly keeper: LeaseKeeper
  readonly clock: Clock
  readonly log: Logger
  readonly ask: AskFailsafe
  readonly config: () => DynamicConfig
  /** The server serves as a primary and is not being ended: only then may the others be kept from leading. */
  readonly isServing: () => boolean
  /** Everybody who might be in the `failsafe` key, as last read or last written; undefined when it is not known. */
  readonly members: () => Readonly<Record<string, string>> | undefined
  readonly body: () => JsonObject
  readonly onConfirmed: (isAccepted: boolean, isFirst: boolean) => void
}

const ASK_MS_MAX = 2_000
const TICK_MS_MAX = 1_000

export class Failsafe {
  readonly #parts: FailsafeParts
  #timer: Timer | undefined
  #isAsking = false
  #confirmedAtMs = Number.NEGATIVE_INFINITY
  #triedAtMs = Number.NEGATIVE_INFINITY
  #promise: { readonly call: FailsafeCall; readonly atMs: number; readonly untilMs: number } | undefined

  constructor(parts: FailsafeParts) {
    this.#parts = parts
  }

  start(): void {
    this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  /** Whom we have promised not to run against; undefined when nobody, or when the time is over. */
  get promisedTo(): FailsafeCall | undefined {
    const promise = this.#promise
    if (promise === undefined) return undefined
    // A caller that does not say may go by a ttl that we have read only since.
    const untilMs = Math.max(promise.untilMs, promise.atMs + this.#ownTtlMs)
    return this.#parts.clock.monotonicMs() < untilMs ? promise.call : undefined
  }

  /** Does our leadership rest on the word of the others now? */
  get isLeading(): boolean {
    const { keeper, clock } = this.#parts
    return keeper.isExtended && keeper.isExtensible && clock.monotonicMs() < keeper.extendedUntilMs
  }

  /**
   * Takes a leader's call: from now on we do not run against it for the longest of its ttl, ours, and ours when it is asked. The
   * caller has checked that we may accept.
   */
  accept(call: FailsafeCall): void {
    const atMs = this.#parts.clock.monotonicMs()
    const untilMs = atMs + Math.max(this.#ownTtlMs, call.ttlMs ?? 0)
    const before = this.#promise?.call.name === call.name ? this.#promise.untilMs : 0
    this.#promise = { call, atMs, untilMs: Math.max(untilMs, before) }
  }

  get #ownTtlMs(): number {
    return this.#parts.config().ttlSeconds * 1000
  }

  /** We lead by the lease again: no promise of before counts any more. */
  forget(): void {
    this.#promise = undefined
  }

  #arm(): void {
    const tickMs = Math.min(this.#parts.keeper.ttlMs / 12, TICK_MS_MAX)
    this.#timer = this.#parts.clock.setTimer(tickMs, () => {
      this.#arm()
      if (this.#isDue() && !this.#isAsking) void this.#confirm()
    })
  }

  #isDue(): boolean {
    const { keeper, clock, config, isServing } = this.#parts
    const { isFailsafeMode, isPaused } = config()
    if (!isFailsafeMode || isPaused || !keeper.isExtensible || !keeper.isLoopAlive()) return false
    // A lease that ended takes nothing from what the others promised: they are asked on until the key is taken again.
    const hasHold = keeper.hold !== undefined
    if (!hasHold && !isServing()) return false
    const nowMs = clock.monotonicMs()
    // Without the hold a renewal is one of the lease that our member key hangs on.
    const renewedAtMs = hasHold ? keeper.renewedAtMs : Number.NEGATIVE_INFINITY
    const silentMs = nowMs - Math.max(renewedAtMs, this.#confirmedAtMs)
    const isFirst = this.#confirmedAtMs < renewedAtMs
    return silentMs >= keeper.ttlMs / (isFirst ? 3 : 6) && nowMs - this.#triedAtMs >= keeper.ttlMs / 12
  }

  async #confirm(): Promise<void> {
    const { keeper, clock, log, me, members, ask, body, onConfirmed } = this.#parts
    const known = members()
    if (known?.[me] === undefined) return
    this.#isAsking = true
    const sentAtMs = clock.monotonicMs()
    this.#triedAtMs = sentAtMs
    try {
      const others = new Map(Object.entries(known).filter(([name]) => name !== me))
      const by = Deadline.in(clock, Math.min(ASK_MS_MAX, keeper.ttlMs / 6))
      const { ttlMs } = keeper
      const replies = await ask(others, { ...body(), ttl_ms: ttlMs }, by)
      const refused = [...others.keys()].filter(
        name => !replies.some(reply => reply.name === name && reply.isAccepted),
      )
      const isFirst = !this.isLeading
      if (refused.length === 0 && keeper.extend(sentAtMs, ttlMs)) {
        this.#confirmedAtMs = sentAtMs
        onConfirmed(true, isFirst)
      } else {
        if (refused.length > 0) log.warning(`failsafe mode: not accepted by ${refused.join(', ')}`)
        onConfirmed(false, isFirst)
      }
    } catch (error) {
      log.warning(`failsafe mode: ${messageOf(error)}`)
    } finally {
      this.#isAsking = false
    }
  }
}
