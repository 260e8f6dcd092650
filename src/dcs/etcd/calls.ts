// Which member is asked, whose answer is believed, and what may be asked again. A read may be repeated at another member; a
// write never, once it may have left.

import type { Clock } from '../../platform/clock.ts'
import { type Deadline, DeadlineError } from '../../platform/deadline.ts'
import type { DcsMetrics } from '../metrics.ts'
import type { Tell } from '../tell.ts'
import { type AttemptOptions, Attempts } from './attempt.ts'
import { type Answer, Belief, type Dated, type Freshness } from './belief.ts'
import type { Endpoint, Endpoints, Send } from './endpoints.ts'
import { EtcdFault, faultOf, haErrorOf, isEndpointFault, isRefusal } from './faults.ts'
import { Meeting } from './meeting.ts'
import { Patience } from './patience.ts'
import { Race } from './race.ts'
import type { Answered } from './rpc.ts'
import type { RaftTerms } from './terms.ts'
import { positionOf, type Wire } from './wire.ts'

/** A write goes only to a member that answered something this recently, or answers a probe first. */
const FRESH_MS = 250
const PAUSE_MS = 100
const LAST_WORDS_MS = 5
/** Requests of one call that may be under way at the same time. */
const UNDER_WAY_MAX = 9

export interface CallsParts {
  readonly endpoints: Endpoints
  readonly wire: Wire
  readonly terms: RaftTerms
  readonly clock: Clock
  readonly metrics: DcsMetrics
  readonly tell: Tell
  readonly retryTimeoutMs: number
  /** Called before a read while no endpoint is known: finds some, or gives up at the deadline. */
  readonly findEndpoints?: (by: Deadline) => Promise<void>
}

/** What came of one member: a fault, an answer to believe, or one from the past or from elsewhere. */
type Tried<T> =
  | { readonly endpoint: Endpoint; readonly fault: EtcdFault }
  | (Dated<T> & { readonly doubt: string | undefined })

export class Calls {
  readonly #parts: CallsParts
  readonly #attempts: Attempts
  readonly #patience: Patience
  readonly #belief: Belief
  readonly #meeting: Meeting

  constructor(parts: CallsParts) {
    this.#parts = parts
    this.#patience = new Patience(parts.retryTimeoutMs)
    this.#belief = new Belief(parts)
    const shared = { ...parts, patience: this.#patience }
    this.#attempts = new Attempts(shared)
    this.#meeting = new Meeting({ ...shared, attempts: this.#attempts, belief: this.#belief })
  }

  /** The time in which all members should have had a try, from the next request on. */
  setRetryTimeout(durationMs: number): void {
    this.#patience.setRetryTimeout(durationMs)
  }

  /** Time for one member, in milliseconds, before another is asked as well. */
  get attemptMs(): number {
    return this.#patience.attemptMs(this.#parts.endpoints.order().length)
  }

  /** One request to one member. Throws EtcdFault. */
  attempt<T extends Answered>(
    endpoint: Endpoint,
    what: string,
    by: Deadline,
    send: Send<T>,
    options?: AttemptOptions,
  ): Promise<T> {
    return this.#attempts.attempt(endpoint, what, by, send, options)
  }

  /**
   * A request that may be repeated: asks member after member, waiting on for the earlier ones, until one answers or the
   * deadline is over. Throws HaError. An answer of an older raft term or of another cluster is passed over. Only one
   * that is not `local`, of a configured member, is taken in spite of that, when nobody of the known cluster and term
   * answers: then etcd was restored or replaced, and refusing it would refuse it for ever.
   */
  async read<T extends Answered>(
    what: string,
    by: Deadline,
    send: Send<T>,
    kind: Freshness = 'linearizable',
  ): Promise<Answer<T>> {
    if (kind === 'local') await this.#find(by)
    else await this.#meet(by)
    const faults = new Map<Endpoint, EtcdFault>()
    const race = new Race<Tried<T>>(this.#parts.clock)
    try {
      for (let round = 1; !by.isOver(); round *= 2) {
        const found = await this.#round({ what, by, send, kind, race, faults }, this.attemptMs * round)
        if (found !== undefined) return found
      }
      // Who was silent until the deadline is named in the error.
      while (race.running > 0) {
        const last = await race.next(LAST_WORDS_MS)
        if (last === undefined) break
        if ('fault' in last) note(faults, last.endpoint, last.fault)
      }
    } finally {
      race.end()
    }
    throw haErrorOf(what, [...faults.values()])
  }

  async #find(by: Deadline): Promise<void> {
    if (this.#parts.endpoints.all.length === 0) await this.#parts.findEndpoints?.(by)
  }

  /** Before anything is known most of the configured members say which etcd it is, whoever answers first. */
  async #meet(by: Deadline): Promise<void> {
    await this.#find(by)
    if (this.#parts.terms.current() === undefined) await this.#meeting.attend(by)
  }

  /** Gives up what nobody waits for any more. */
  close(): void {
    this.#meeting.close()
  }

  /** One try at every member. The answer to return, or undefined when another round is due. */
  async #round<T extends Answered>(read: Reading<T>, patientMs: number): Promise<Answer<T> | undefined> {
    const { what, by, race, send, kind } = read
    const doubtful = new Map<Endpoint, Answer<T>>()
    const order = this.#parts.endpoints.order()
    for (const [index, endpoint] of order.entries()) {
      if (by.isOver()) return undefined
      if (race.running < UNDER_WAY_MAX) race.start(signal => this.#tryRead(endpoint, what, by, send, signal))
      const shareMs = Math.min(patientMs, by.remainingMs() / (order.length - index))
      const found = this.#judge(read, await race.next(shareMs), doubtful)
      if (found !== undefined) return found
    }
    // Whoever was started last, or was cut short by another's failure, has its time too.
    for (;;) {
      const tried = await race.next(Math.min(patientMs, by.remainingMs()))
      if (tried === undefined) break
      const found = this.#judge(read, tried, doubtful)
      if (found !== undefined) return found
    }
    // A stranger, or a member from an old disk, must not lock us out with its refusal: it counts when nobody else answered.
    const refusals = [...read.faults.values()].filter(fault => isRefusal(fault.kind))
    if (refusals.length > 0) throw haErrorOf(what, refusals)
    if (kind !== 'local' && !by.isOver()) {
      const restored = this.#belief.restored(doubtful)
      if (restored !== undefined) return this.#belief.takeRestored(restored)
    }
    return this.#judge(read, await race.next(Math.min(PAUSE_MS, by.remainingMs()), true))
  }

  /** The answer if it is believed. One of an older term or another cluster is kept aside. */
  #judge<T extends Answered>(
    { what, kind, faults }: Reading<T>,
    tried: Tried<T> | undefined,
    doubtful?: Map<Endpoint, Answer<T>>,
  ): Answer<T> | undefined {
    if (tried === undefined) return undefined
    const { endpoint } = tried
    if ('fault' in tried) {
      note(faults, endpoint, tried.fault)
      if (isEndpointFault(tried.fault.kind) || isRefusal(tried.fault.kind)) return undefined
      throw haErrorOf(what, [tried.fault])
    }
    if (tried.doubt === undefined) return this.#belief.accept(tried, kind)
    faults.set(endpoint, new EtcdFault('stale', endpoint.name, tried.doubt))
    this.#parts.endpoints.failed(endpoint)
    this.#parts.tell('dcs-not-believed', `etcd ${endpoint.name} is not believed: it ${tried.doubt}`, {
      about: endpoint.name,
    })
    doubtful?.set(endpoint, tried.answer)
    return undefined
  }

  /**
   * A request that must not be repeated. Throws EtcdFault, whose kind says whether it may be applied. Before it
   * leaves, the member must have shown that it is alive and of our cluster; that costs a local read at most.
   */
  async write<T extends Answered>(what: string, by: Deadline, send: Send<T>): Promise<Answer<T>> {
    for (;;) {
      const endpoint = await this.#answering(by)
      const known = this.#parts.terms.current()
      const sentAtMs = this.#parts.clock.monotonicMs()
      try {
        const value = await this.attempt(endpoint, what, by.within(this.attemptMs * 2), send)
        const position = positionOf(value.header)
        const doubt = this.#belief.doubtOf(endpoint, position, known)
        // Too late to undo, and nothing to build on: the caller reads before it goes on.
        if (doubt !== undefined) {
          this.#parts.endpoints.failed(endpoint)
          throw new EtcdFault('stale', endpoint.name, doubt)
        }
        this.#parts.terms.raise(position)
        this.#parts.terms.heardAtMs = this.#parts.clock.monotonicMs()
        this.#parts.endpoints.prefer(endpoint)
        return { value, position, sentAtMs }
      } catch (error) {
        const fault = faultOf(error, endpoint.name)
        if (fault.kind !== 'not-sent' || by.isOver()) throw fault
        await this.#pause(by)
      }
    }
  }

  async #tryRead<T extends Answered>(
    endpoint: Endpoint,
    what: string,
    by: Deadline,
    send: Send<T>,
    signal: AbortSignal,
  ): Promise<Tried<T>> {
    const known = this.#parts.terms.current()
    const sentAtMs = this.#parts.clock.monotonicMs()
    try {
      const value = await this.attempt(endpoint, what, by, send, { signal })
      const position = positionOf(value.header)
      const doubt = this.#belief.doubtOf(endpoint, position, known)
      return { endpoint, answer: { value, position, sentAtMs }, doubt, known }
    } catch (error) {
      return { endpoint, fault: faultOf(error, endpoint.name) }
    }
  }

  /** A member that is alive and of our cluster. Throws EtcdFault `not-sent` when there is none in time. */
  async #answering(by: Deadline): Promise<Endpoint> {
    await this.#meet(by)
    const faults = new Map<Endpoint, EtcdFault>()
    const race = new Race<Endpoint | EtcdFault>(this.#parts.clock)
    try {
      while (!by.isOver()) {
        const found = await this.#findAnswering(by, race, faults)
        if (found !== undefined) return found
      }
    } finally {
      race.end()
    }
    const told = [...faults.values()].map(fault => fault.message).join('; ')
    throw new EtcdFault('not-sent', 'etcd', `no member answered, nothing was sent: ${told || 'no time left'}`)
  }

  async #findAnswering(
    by: Deadline,
    race: Race<Endpoint | EtcdFault>,
    faults: Map<Endpoint, EtcdFault>,
  ): Promise<Endpoint | undefined> {
    const order = this.#parts.endpoints.order()
    for (const endpoint of order) {
      if (this.#isFresh(endpoint)) return endpoint
      if (by.isOver()) return undefined
      if (race.running < UNDER_WAY_MAX) {
        race.start(async signal => {
          const fault = await this.#probe(endpoint, by, signal)
          if (fault !== undefined) note(faults, endpoint, fault)
          return fault ?? endpoint
        })
      }
      const result = await race.next(Math.min(this.attemptMs, by.remainingMs() / 2))
      if (result !== undefined && !(result instanceof EtcdFault)) return result
    }
    const refusals = order.map(endpoint => faults.get(endpoint)).filter(fault => isRefusal(fault?.kind))
    if (refusals[0] !== undefined && refusals.length === order.length) throw refusals[0]
    const late = await race.next(Math.min(PAUSE_MS, by.remainingMs()), true)
    return late instanceof EtcdFault ? undefined : late
  }

  #isFresh(endpoint: Endpoint): boolean {
    const isRecent = endpoint.okAtMs > this.#parts.clock.monotonicMs() - FRESH_MS
    const { clusterId = endpoint.clusterId } = this.#parts.terms.current() ?? {}
    return isRecent && endpoint.failedAtMs === Number.NEGATIVE_INFINITY && endpoint.clusterId === clusterId
  }

  /** Undefined when the member answered: a read of one key from its own copy. */
  async #probe(endpoint: Endpoint, by: Deadline, signal: AbortSignal): Promise<EtcdFault | undefined> {
    try {
      const key = this.#parts.wire.key('leader')
      const known = this.#parts.terms.current()
      const { header } = await this.attempt(
        endpoint,
        'probe',
        by,
        (rpc, call) => rpc.range({ key, isLocal: true, keysOnly: true }, call),
        { signal },
      )
      const doubt = this.#belief.doubtOf(endpoint, positionOf(header), known)
      if (doubt === undefined) return undefined
      this.#parts.endpoints.failed(endpoint)
      return new EtcdFault('stale', endpoint.name, doubt)
    } catch (error) {
      const fault = faultOf(error, endpoint.name)
      return isEndpointFault(fault.kind) || isRefusal(fault.kind) ? fault : undefined
    }
  }

  async #pause(by: Deadline): Promise<void> {
    await this.#parts.clock.sleep(Math.min(PAUSE_MS, by.remainingMs()))
  }
}

/** That our time was over says less than what the same member had in the way before. */
function note(faults: Map<Endpoint, EtcdFault>, endpoint: Endpoint, fault: EtcdFault): void {
  if (fault.cause instanceof DeadlineError && faults.has(endpoint)) return
  faults.set(endpoint, fault)
}

/** One read that goes on: what is asked, and what came of it so far. */
interface Reading<T> {
  readonly what: string
  readonly by: Deadline
  readonly send: Send<T>
  readonly kind: Freshness
  readonly race: Race<Tried<T>>
  readonly faults: Map<Endpoint, EtcdFault>
}
