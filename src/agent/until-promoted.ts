// A server leaves recovery when it has replayed all that it has, which may take minutes. Whoever gave up meanwhile would hand
// the lead to a member that may have less: so it waits as long as the server lives. The fence ends it with the lease.

import type { Lsn } from '../cluster/lsn.ts'
import { Deadline } from '../platform/deadline.ts'
import { giveWay } from './hand-over.ts'
import { walPosition } from './race.ts'
import type { MemoryUpdate } from './tasks.ts'
import type { WorkContext } from './work.ts'

/** Nearly every promotion ends within it, and is waited for by its own call. */
const PATIENCE_MS = 60_000
const LOOK_AGAIN_MS = 500
const LOOK_MS = 5_000
const ASK_AGAIN_MS = 10_000

/** `update`: another member takes over, and this is what that teaches. */
export type PromotionEnd =
  | { readonly isDone: boolean; readonly update?: undefined }
  | { readonly isDone: false; readonly update: MemoryUpdate }

/**
 * Promotes the server and waits until it takes writes. Not done when the server is gone or has told nothing for a minute; and
 * when its replay has stood still for `primary_start_timeout` and somebody else can take over. Rejects when `signal` aborts.
 */
export async function untilPromoted(context: WorkContext, signal: AbortSignal): Promise<PromotionEnd> {
  const { parts } = context
  const { clock, postgres } = parts
  if (await postgres.promote(Deadline.in(clock, PATIENCE_MS))) return { isDone: true }
  const waiting = new Waiting(context)
  for (;;) {
    const { process, facts, isAnswering } = await postgres.status(Deadline.in(clock, LOOK_MS))
    if (process === 'stopped') return { isDone: false }
    if (facts?.role === 'primary') return { isDone: true }
    waiting.note(facts?.replayedLsn, facts === undefined ? undefined : walPosition(facts), isAnswering)
    if (waiting.isSilent) return { isDone: false }
    const update = await waiting.handOver()
    if (update !== undefined) return { isDone: false, update }
    await clock.sleep(LOOK_AGAIN_MS, signal)
  }
}

/** What was seen of a promotion that takes long. */
class Waiting {
  readonly #context: WorkContext
  #replayed: Lsn | undefined
  #received: Lsn | undefined
  #movedAtMs: number
  #answeredAtMs: number
  #askedAtMs = Number.NEGATIVE_INFINITY
  #isTold = false

  constructor(context: WorkContext) {
    this.#context = context
    this.#movedAtMs = this.#nowMs()
    this.#answeredAtMs = this.#movedAtMs
  }

  get isSilent(): boolean {
    return this.#nowMs() - this.#answeredAtMs > PATIENCE_MS
  }

  note(replayed: Lsn | undefined, received: Lsn | undefined, isAnswering: boolean): void {
    const nowMs = this.#nowMs()
    if (isAnswering || replayed !== undefined) this.#answeredAtMs = nowMs
    if (replayed === undefined) return
    if (this.#replayed === undefined || replayed > this.#replayed) this.#movedAtMs = nowMs
    this.#replayed = replayed
    this.#received = received
    if (this.#isTold) return
    this.#isTold = true
    const kilobytes = Number((received ?? replayed) - replayed) / 1024
    this.#context.parts.log.warning(
      `promotion: waiting until the server has replayed the WAL that it has (${kilobytes.toFixed(0)} KB left)`,
    )
  }

  /** Replay that stands still may do so for ever: then somebody else may lead, if anybody can. */
  async handOver(): Promise<MemoryUpdate | undefined> {
    const { primaryStartTimeoutSeconds } = this.#context.state.config
    const patienceMs = Math.max(PATIENCE_MS, primaryStartTimeoutSeconds * 1000)
    const nowMs = this.#nowMs()
    if (nowMs - this.#movedAtMs < patienceMs || nowMs - this.#askedAtMs < ASK_AGAIN_MS) return undefined
    this.#askedAtMs = nowMs
    const says = 'the promotion stands still: demoting so that another member can lead'
    return giveWay(this.#context, this.#received, { kind: 'promotion-too-slow', says })
  }

  #nowMs(): number {
    return this.#context.parts.clock.monotonicMs()
  }
}
