// Registers the proxy in the store under a lease of its own, so that others can see which proxies live, and tells there for
// which end of a term it holds its clients. Nothing depends on it for safety: a failure is tried again and costs nothing else.

import { type JsonObject, printJson } from '../cluster/json.ts'
import { HOLDS_FOR, type Holding, printHolding } from '../cluster/registration.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

const KEY_PREFIX = 'pgherd/'
const TTL_SECONDS = 15
const RENEW_MS = 5_000
/** The leader's agent waits no longer for the answer of a proxy. */
const WAITED_FOR_MS = 1_000
const RETRY_MS = 100
const CALL_MS = 2_000

export interface RegistrationOptions {
  readonly clock: Clock
  readonly dcs: Dcs
  readonly log: Logger
  /** Names the key `pgherd/proxies/<id>`. */
  readonly id: string
  readonly value: JsonObject
  /** The scope as the proxy read it last; undefined before the first time. */
  readonly lastView: () => ClusterView | undefined
}

/** A registration in force: its lease, the revision at which the key was written, and what was written. */
interface Registered {
  readonly leaseId: bigint
  readonly revision: bigint
  readonly text: string
}

export class Registration {
  readonly #options: RegistrationOptions
  #holding: Holding | undefined
  #waitsUntilMs = Number.NEGATIVE_INFINITY
  #registered: Registered | undefined
  /** Ends the pause between two renewals. */
  #hurry = new AbortController()

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Keeps the key alive until `signal` aborts, then takes it away. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, dcs, log } = this.#options
    while (!signal.aborted) {
      this.#hurry = new AbortController()
      try {
        this.#registered =
          this.#registered === undefined ? await this.#register() : await this.#renew(this.#registered)
      } catch (error) {
        log.debug(`registration: ${messageOf(error)}`)
      }
      if (this.#registered === undefined && !signal.aborted) log.debug('registration: will be tried again')
      await clock.sleep(this.#pauseMs(), AbortSignal.any([signal, this.#hurry.signal])).catch(() => {})
    }
    if (this.#registered !== undefined)
      await dcs.revokeLease(this.#registered.leaseId, this.#deadline()).catch(() => {})
  }

  /** From now on the proxy holds its clients for the end of this term: told at once, once for each word of the agent. */
  holds(holding: Holding): void {
    if (this.#holding?.revision === holding.revision) return
    this.#holding = holding
    this.#waitsUntilMs = this.#options.clock.monotonicMs() + WAITED_FOR_MS
    this.#hurry.abort()
  }

  /** An answer that did not get through is tried again soon, as long as anybody waits for it. */
  #pauseMs(): number {
    const isAnswered = this.#registered?.text === this.#text()
    const isWaitedFor = this.#options.clock.monotonicMs() < this.#waitsUntilMs
    return isWaitedFor && !isAnswered ? RETRY_MS : RENEW_MS
  }

  async #register(): Promise<Registered | undefined> {
    const { id } = await this.#options.dcs.grantLease(TTL_SECONDS, this.#deadline())
    return this.#put(id)
  }

  async #put(leaseId: bigint): Promise<Registered | undefined> {
    const text = this.#text()
    const write = { kind: 'put', key: KEY_PREFIX + this.#key, value: text, leaseId } as const
    const { outcome, revision } = await this.#options.dcs.write([], [write], this.#deadline())
    // Should an unanswered write be applied later, its lease ends by itself.
    return outcome === 'won' && revision !== undefined ? { leaseId, revision, text } : undefined
  }

  async #renew(registered: Registered): Promise<Registered | undefined> {
    const { leaseId, text } = registered
    // An answer that somebody waits for goes first. One that does not get through is written anew by the next turn.
    const told = text === this.#text() ? registered : ((await this.#put(leaseId)) ?? registered)
    const renewal = await this.#options.dcs.keepAlive(leaseId, this.#deadline())
    if (renewal.outcome === 'lost') return this.#register()
    return this.#isDeleted(told) ? this.#put(leaseId) : told
  }

  /** Somebody deleted the key and left the lease: `ctl remove` does, and an operator's mistake. */
  #isDeleted({ revision }: Registered): boolean {
    const view = this.#options.lastView()
    return view !== undefined && view.position.revision > revision && !view.own.has(this.#key)
  }

  #text(): string {
    return printJson({ ...this.#options.value, [HOLDS_FOR]: printHolding(this.#holding) })
  }

  /** Relative to our own keys. */
  get #key(): string {
    return `proxies/${this.#options.id}`
  }

  #deadline(): Deadline {
    return Deadline.in(this.#options.clock, CALL_MS)
  }
}
