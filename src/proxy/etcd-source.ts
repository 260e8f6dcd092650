// Feeds the router from etcd: a watch on two members for speed, linearizable reads for truth, the leader's remaining
// lease for a deadline. A watch that stops in silence is found out by the reads.

import { asInteger } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Dcs, LeaseLeft } from '../dcs/dcs.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { EventSink } from './events.ts'
import type { Router } from './router.ts'
import type { Source } from './source.ts'

const CALL_MS_MAX = 2000
/** After a failed look. */
const RETRY_MS = 250
const TTL_MS_DEFAULT = 30_000
/** The store is asked so many times in one lifetime of the leader's lease. */
const LOOKS_PER_TTL = 6

export interface EtcdSourceOptions {
  readonly clock: Clock
  readonly dcs: Dcs
  readonly router: Router
  readonly events: EventSink
}

export class EtcdSource implements Source {
  readonly #options: EtcdSourceOptions
  #ttlMs = TTL_MS_DEFAULT
  #isLooking = false
  #isLookDue = false
  #timer: Timer | undefined
  #signal: AbortSignal | undefined
  #lastAnswerAtMs: number
  #isSilent = false

  #lastView: ClusterView | undefined

  constructor(options: EtcdSourceOptions) {
    this.#options = options
    this.#lastAnswerAtMs = options.clock.monotonicMs()
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#timer?.cancel(), { once: true })
    this.refresh()
    const { dcs, router } = this.#options
    for await (const notice of dcs.watch({ streams: 2, signal })) {
      if (signal.aborted) return
      if (notice.kind === 'stale') this.refresh()
      else router.applyEvents(notice.position, notice.events)
    }
  }

  /** Looks at once, or right after the present look. Looks never overlap: only then can a lower revision prove anything. */
  refresh(): void {
    if (this.#signal === undefined || this.#signal.aborted) return
    if (this.#isLooking) {
      this.#isLookDue = true
      return
    }
    this.#timer?.cancel()
    this.#isLooking = true
    // `#look` catches all that etcd can do to it.
    void this.#look().then(delayMs => {
      this.#isLooking = false
      if (this.#isLookDue) {
        this.#isLookDue = false
        this.refresh()
      } else if (this.#signal?.aborted === false) {
        this.#timer = this.#options.clock.setTimer(delayMs, () => this.refresh())
      }
    })
  }

  get lastView(): ClusterView | undefined {
    return this.#lastView
  }

  /** Answers of members are no news about the store. */
  onProbe(): void {}

  silentMs(): number | undefined {
    const silentMs = this.#options.clock.monotonicMs() - this.#lastAnswerAtMs
    // A call that hangs is noticed before its deadline: two looks would have been answered by now.
    return this.#isSilent || silentMs > (2 * this.#ttlMs) / LOOKS_PER_TTL + RETRY_MS ? silentMs : undefined
  }

  /** One look: the scope and the lease at the same time. Returns when the next is due. */
  async #look(): Promise<number> {
    const { clock, dcs, router } = this.#options
    const { highest, leaseId, hasKey } = router.leadership
    const by = Deadline.in(clock, Math.min(CALL_MS_MAX, this.#ttlMs / 2))
    const lease = hasKey && leaseId !== 0n ? this.#askLease(leaseId, by) : Promise.resolve()
    let view: ClusterView
    try {
      view = await dcs.read(by)
    } catch (error) {
      await lease
      this.#onSilence(messageOf(error))
      return RETRY_MS
    }
    if (this.#signal?.aborted === true) return 0
    // What follows is our own work: a mistake in it must not pass for etcd's silence.
    this.#onAnswer(view)
    router.applyRead(view, highest)
    await lease
    // The read has named another lease: its first deadline is worth a question of its own.
    const now = router.leadership
    if (now.hasKey && now.leaseId !== leaseId && now.leaseId !== 0n) await this.#askLease(now.leaseId, by)
    return this.#ttlMs / LOOKS_PER_TTL
  }

  /** Asks for the rest of a lease; never rejects: no answer is no evidence, and the read tells of etcd's silence. */
  async #askLease(leaseId: bigint, by: Deadline): Promise<void> {
    let answer: LeaseLeft
    try {
      answer = await this.#options.dcs.leaseLeft(leaseId, by)
    } catch {
      return
    }
    if (this.#signal?.aborted === true) return
    if (answer.grantedSeconds > 0) this.#ttlMs = answer.grantedSeconds * 1000
    this.#options.router.applyLease({ leaseId, ...answer })
  }

  #onAnswer(view: ClusterView): void {
    const { clock, dcs, events } = this.#options
    const ttlSeconds = asInteger(view.config?.value['ttl'])
    if (ttlSeconds !== undefined && ttlSeconds > 0) this.#ttlMs = ttlSeconds * 1000
    const retrySeconds = asInteger(view.config?.value['retry_timeout'])
    if (retrySeconds !== undefined && retrySeconds > 0) dcs.setRetryTimeout?.(retrySeconds * 1000)
    if (this.#isSilent) {
      const silentMs = clock.monotonicMs() - this.#lastAnswerAtMs
      events.record({
        kind: 'store-answers',
        says: `etcd answers again after ${(silentMs / 1000).toFixed(1)} s`,
      })
    }
    this.#lastView = view
    this.#isSilent = false
    this.#lastAnswerAtMs = clock.monotonicMs()
  }

  #onSilence(why: string): void {
    if (this.#isSilent || this.#signal?.aborted === true) return
    this.#isSilent = true
    const { events, router } = this.#options
    const consequence =
      router.table.write === undefined
        ? 'no write session can be routed until it does'
        : `the route to ${router.table.write.epoch.member} lasts as long as its own answers do`
    const says = `etcd does not answer: ${why}; ${consequence}`
    events.record({ kind: 'store-silent', says })
  }
}
