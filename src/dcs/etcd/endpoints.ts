// The etcd members that we may ask and what we know of them: who answered last, who failed lately, whom to ask next. Those of
// the configuration stay for ever; those learned from etcd's own member list come and go (topology.ts).

import type { Clock } from '../../platform/clock.ts'
import type { CallContext, EtcdRpc } from './rpc.ts'

/** A member that failed is asked last for this long. */
const FAILED_FOR_MS = 3_000

/** Sends one request; must pass the context on, which carries the end of the attempt. */
export type Send<T> = (rpc: EtcdRpc, call: CallContext) => Promise<T>

/** One way to one member. */
export interface Endpoint {
  readonly name: string
  /** Of an endpoint from etcd's member list: the etcd cluster whose list it was. Undefined for a configured one. */
  readonly learnedFrom: string | undefined
  /** Monotonic time of its last answer, and of its last failure since then; minus infinity for never. */
  okAtMs: number
  failedAtMs: number
  /** What its last answer said of itself. */
  clusterId: string | undefined
  memberId: string | undefined
  /** Sends with what etcd wants to see of us. `isLenient`: without a token if none can be had. */
  call<T>(send: Send<T>, signal: AbortSignal, isLenient?: boolean): Promise<T>
  /** A refusal may be due to an old token: the next request gets a new one. */
  doubtToken(): void
  /** A host may have several addresses: after a refused connection the next one gets its turn. */
  nextAddress(): Promise<void>
  /** New requests go over new connections; what is under way has some seconds left. */
  renew(): void
  close(): void
}

type Listener = (endpoint: Endpoint) => void

/** All endpoints in the order in which they should be asked. One is preferred until it fails. */
export class Endpoints {
  readonly #clock: Clock
  readonly #failedListeners = new Set<Listener>()
  readonly #preferredListeners = new Set<Listener>()
  readonly #renewedListeners = new Set<() => void>()
  #configured: readonly Endpoint[]
  #learned: readonly Endpoint[] = []
  #preferred: Endpoint | undefined

  /** `startAt` is the place of the member to begin with. */
  constructor(configured: readonly Endpoint[], clock: Clock, startAt: number) {
    this.#configured = configured
    this.#clock = clock
    this.#preferred = configured[startAt % Math.max(1, configured.length)]
  }

  get all(): readonly Endpoint[] {
    return [...this.#configured, ...this.#learned]
  }

  get configured(): readonly Endpoint[] {
    return this.#configured
  }

  get learned(): readonly Endpoint[] {
    return this.#learned
  }

  /** The one that answered last; undefined before there is any. */
  get preferred(): Endpoint | undefined {
    return this.#preferred
  }

  /**
   * The preferred one first, then the configured ones in turn, then the learned ones; at the end those that failed
   * lately, longest ago first. A learned one that is a configured one by another name is left out while that is well.
   */
  order(): readonly Endpoint[] {
    const failedSinceMs = this.#clock.monotonicMs() - FAILED_FOR_MS
    const isFailing = (endpoint: Endpoint) => endpoint.failedAtMs > failedSinceMs
    const isReached = (memberId: string | undefined) =>
      memberId !== undefined && this.#configured.some(one => one.memberId === memberId && !isFailing(one))
    const learned = this.#learned.filter(one => one === this.#preferred || !isReached(one.memberId))
    const turned = fromPreferred(this.#configured, learned, this.#preferred)
    const failing = turned.filter(isFailing).sort((a, b) => a.failedAtMs - b.failedAtMs)
    return [...turned.filter(endpoint => !isFailing(endpoint)), ...failing]
  }

  /** Stay with this one from now on. */
  prefer(endpoint: Endpoint): void {
    const before = this.#preferred
    if (before === endpoint || !this.all.includes(endpoint)) return
    this.#preferred = endpoint
    for (const listener of [...this.#preferredListeners]) listener(endpoint)
  }

  answered(endpoint: Endpoint): void {
    endpoint.okAtMs = this.#clock.monotonicMs()
    endpoint.failedAtMs = Number.NEGATIVE_INFINITY
  }

  failed(endpoint: Endpoint): void {
    endpoint.failedAtMs = this.#clock.monotonicMs()
    for (const listener of [...this.#failedListeners]) listener(endpoint)
  }

  /** The configuration names others now (DNS changed): what is no longer named is closed. */
  setConfigured(configured: readonly Endpoint[]): void {
    const before = this.#configured
    this.#configured = configured
    this.#drop(before)
  }

  /** Replaces what the member list taught; what is no longer in it is closed. */
  setLearned(learned: readonly Endpoint[]): void {
    const before = this.#learned
    this.#learned = learned
    this.#drop(before)
  }

  /** Calls `listener` at each failed request; returns the way to stop it. */
  onFailed(listener: Listener): () => void {
    this.#failedListeners.add(listener)
    return () => void this.#failedListeners.delete(listener)
  }

  /** Calls `listener` with the new preferred one when it changes; returns the way to stop it. */
  onPreferred(listener: Listener): () => void {
    this.#preferredListeners.add(listener)
    return () => void this.#preferredListeners.delete(listener)
  }

  /** Calls `listener` when connections are to be made anew; returns the way to stop it. */
  onRenewed(listener: () => void): () => void {
    this.#renewedListeners.add(listener)
    return () => void this.#renewedListeners.delete(listener)
  }

  /** Everything goes over new connections from now on: certificates changed. */
  renew(): void {
    for (const endpoint of this.all) endpoint.renew()
    for (const listener of [...this.#renewedListeners]) listener()
  }

  close(): void {
    for (const endpoint of this.all) endpoint.close()
  }

  #drop(before: readonly Endpoint[]): void {
    const kept = new Set(this.all)
    for (const endpoint of before) if (!kept.has(endpoint)) endpoint.close()
    if (this.#preferred === undefined || !kept.has(this.#preferred)) this.#preferred = this.all[0]
  }
}

function fromPreferred(
  configured: readonly Endpoint[],
  learned: readonly Endpoint[],
  preferred: Endpoint | undefined,
): readonly Endpoint[] {
  if (preferred !== undefined && learned.includes(preferred)) {
    return [preferred, ...configured, ...learned.filter(one => one !== preferred)]
  }
  const at = preferred === undefined ? 0 : Math.max(0, configured.indexOf(preferred))
  return [...configured.slice(at), ...configured.slice(0, at), ...learned]
}
