// Listens on the addresses of one listener, gives each client a session, and keeps the limits.

import type { HostPort } from '../cluster/member.ts'
import { isAccepted, isAcceptedByAll } from '../config/proxy/access.ts'
import { type Bind, type ListenerConfig, printBinds } from '../config/proxy/types.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Affinity } from './affinity.ts'
import type { Backend } from './backend.ts'
import { type CancelKeys, CancelRequests } from './cancel.ts'
import { carryHere } from './carry.ts'
import { Dismissal } from './dismissal.ts'
import { Draining } from './draining.ts'
import type { EventSink } from './events.ts'
import { LINGER_MS } from './farewell.ts'
import { HoldQueue, queueMax } from './hold.ts'
import { listen } from './listening.ts'
import type { ProxyMetrics } from './metrics.ts'
import type { SessionTotals } from './outage.ts'
import type { Choice, Pool } from './pool.ts'
import { Rate, SourceRate } from './rate.ts'
import { RateQueue } from './rate-queue.ts'
import type { Transport, Wire, WireServer } from './relay/wire.ts'
import { Session } from './session.ts'
import type { SessionHost } from './session-host.ts'
import { TurnAway } from './turn-away.ts'

/** Cancel requests of one source: on average in a second, and at once. Each may go to every server. */
const CANCELS_PER_SECOND = 10
const CANCELS_AT_ONCE = 50
/** Held sessions that go on at once when there is a server again; the others follow at the listener's rate. */
const RELEASED_AT_ONCE = 20
/** More than LINGER_MS: what a stop waits for the last words. */
const STOP_SLACK_MS = 200

export interface ListenerOptions {
  readonly config: ListenerConfig
  /** The limit on sessions after the limit on descriptors has been looked at. */
  readonly sessionsMax: number
  readonly clock: Clock
  /** What carries the sessions. */
  readonly transport: Transport
  readonly pool: Pool
  readonly cancels: CancelKeys
  readonly events: EventSink
  readonly metrics: ProxyMetrics
  readonly totals: SessionTotals
  /** Is there a place in the limit of all listeners together? */
  readonly hasPlace: () => boolean
  /** False for a client that came to a virtual address which this host holds no more. */
  readonly mayServe: (client: Wire) => boolean
  readonly explain: () => string
  readonly onRefused: (backend: Backend, why: string) => void
  readonly onLocalFailure: (why: string) => void
  readonly onConnected: (backend: Backend) => void
}

export class Listener {
  readonly config: ListenerConfig
  readonly sessionsMax: number
  readonly sessions = new Set<Session>()
  readonly hold: HoldQueue<Session>
  readonly queue: HoldQueue<Session>
  acceptedTotal = 0
  deniedTotal = 0
  readonly #options: ListenerOptions
  #servers: WireServer[]
  readonly #host: SessionHost
  readonly #turnAway: TurnAway
  readonly #dismissal: Dismissal
  readonly #affinity: Affinity
  readonly #draining: Draining<Session>
  readonly #cancelRate: SourceRate
  readonly #cancelRequests: CancelRequests
  readonly #sourceRate: SourceRate | undefined
  readonly #rateQueue: RateQueue | undefined
  readonly #releaseRate: Rate | undefined
  #releaseTimer: Timer | undefined
  #lastSessionId = 0
  #isStopped = false

  constructor(options: ListenerOptions) {
    const { clock, config } = options
    this.#options = options
    this.config = config
    this.sessionsMax = options.sessionsMax
    this.#draining = new Draining(clock)
    const { holdMs, heldMax, releasePerSecond } = config.onNoBackend
    const onExpired = (session: Session) => this.#onHoldExpired(session)
    this.hold = new HoldQueue({ clock, capacity: heldMax, holdMs, onExpired })
    const queue = { capacity: queueMax(config), holdMs: config.timeouts.queueMs }
    this.queue = new HoldQueue({ clock, ...queue, onExpired: session => session.expireFull() })
    const { perSecond, perSourcePerSecond } = config.access
    this.#rateQueue = perSecond === undefined ? undefined : this.#createRateQueue(perSecond)
    this.#sourceRate =
      perSourcePerSecond === undefined ? undefined : new SourceRate(clock, perSourcePerSecond)
    this.#releaseRate = Number.isFinite(releasePerSecond)
      ? new Rate(clock, releasePerSecond, Math.min(releasePerSecond, RELEASED_AT_ONCE))
      : undefined
    this.#cancelRate = new SourceRate(clock, CANCELS_PER_SECOND, CANCELS_AT_ONCE)
    this.#cancelRequests = new CancelRequests(clock)
    this.#host = this.#createHost()
    this.#turnAway = this.#createTurnAway()
    this.#dismissal = new Dismissal(clock)
    this.#affinity = new Affinity(clock)
    this.#servers = config.binds.map(() => this.#createServer())
  }

  /** Begins to listen, wherever it can. Throws UserError for the first address that cannot be had. */
  async listen(): Promise<void> {
    const { name, binds } = this.config
    const failures: unknown[] = []
    for (const [index, server] of this.#servers.entries()) {
      // Stopped while an earlier port was being opened.
      if (this.#isStopped) return
      const bind = binds[index]
      if (bind === undefined || server.listening) continue
      await listen(server, bind, `listeners.${name}.bind`).catch(error => failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }

  /** Closes the ports without ending a session; `listen` opens them again. */
  stopListening(): void {
    if (!this.isListening) return
    for (const server of this.#servers) if (server.listening) server.close()
    this.#servers = this.config.binds.map(() => this.#createServer())
  }

  /** Is there a server for its sessions, a full one included? */
  get hasServer(): boolean {
    return !this.#options.pool.isEmpty()
  }

  /** At one of its addresses at least. */
  get isListening(): boolean {
    return this.#servers.some(server => server.listening)
  }

  get isListeningEverywhere(): boolean {
    return this.#servers.every(server => server.listening)
  }

  /** Where it listens first: the real port when the configured one is 0. */
  get address(): HostPort {
    const bound = this.#servers[0]?.address()
    const { host, port } = this.config.binds[0] ?? ({ host: undefined, port: 0 } satisfies Bind)
    return typeof bound === 'object' && bound !== null
      ? { host: bound.address, port: bound.port }
      : { host: host ?? '::', port }
  }

  /** Sessions that take a place: all but those that only say farewell. */
  get taken(): number {
    return this.sessions.size - this.#draining.size
  }

  /** Lets sessions of the queues try again, in order. Cheap when nobody waits. */
  release(): void {
    if (this.hold.size + this.queue.size === 0 || !this.#options.pool.hasRoom()) return
    for (const session of this.queue.takeAll()) session.wake()
    if (this.#releaseRate === undefined) for (const session of this.hold.takeAll()) session.wake()
    else this.#releaseSlowly(this.#releaseRate)
  }

  /** Stops listening and ends every session. Resolves when all are gone, or have had their time to read their last words. */
  async stop(says: string): Promise<void> {
    this.#isStopped = true
    this.#releaseTimer?.cancel()
    for (const server of this.#servers) server.close()
    this.#rateQueue?.close(client => this.#turnAway.takeAtStop(client, says))
    for (const session of [...this.sessions]) session.stop(says)
    const { clock } = this.#options
    const untilMs = clock.monotonicMs() + LINGER_MS + STOP_SLACK_MS
    while (this.sessions.size + this.#turnAway.size > 0 && clock.monotonicMs() < untilMs)
      await clock.sleep(20)
  }

  #createServer(): WireServer {
    const { keepAliveMs, timeouts } = this.config
    const options = { keepAliveMs, unackedMs: timeouts.clientUnackedMs }
    return this.#options.transport.createServer(options, client => this.#onClient(client))
  }

  /** One after the other, so that a server that has just been promoted is not run down. */
  #releaseSlowly(rate: Rate): void {
    this.#releaseTimer?.cancel()
    while (this.hold.size > 0 && this.#options.pool.hasRoom()) {
      if (!rate.take()) {
        this.#releaseTimer = this.#options.clock.setTimer(rate.waitMs(), () => this.#releaseSlowly(rate))
        return
      }
      for (const session of this.hold.take(1)) session.wake()
    }
  }

  /** Whose time ends while it waits only for its turn goes on: an error would be the worse answer now that there is a server. */
  #onHoldExpired(session: Session): void {
    if (this.#options.pool.hasRoom()) session.wake()
    else session.expire()
  }

  #createHost(): SessionHost {
    const { clock, transport, cancels, config, pool, totals, metrics } = this.#options
    const { explain, onRefused, onLocalFailure, onConnected } = this.#options
    return {
      clock,
      transport,
      carry: transport.carry ?? carryHere,
      listener: config.name,
      timeouts: config.timeouts,
      plainErrors: config.onNoBackend.plainErrors,
      closesSilently: config.onNoBackend.afterHold === 'close',
      isWrite: config.pool === 'leader',
      acceptsProxy: config.acceptsProxy,
      keepAliveMs: config.keepAliveMs,
      retries: config.retries,
      hold: this.hold,
      queue: this.queue,
      cancels,
      choose: session => this.#choose(session),
      wayTo: backend => pool.optionsOf(backend),
      explain,
      admits: source => this.#admits(source),
      cancel: (processId, secret, source) => this.#cancel(processId, secret, source),
      onRefused,
      onLocalFailure,
      onConnected,
      onHeld: () => {
        totals.held += 1
        metrics.held(config.name)
      },
      onDraining: session => this.#onDraining(session),
      onEnded: (session, why) => this.#onEnded(session, why),
    }
  }

  /** An encrypted connection may be a cancel request. On the leader's port there is one server, which is the right one. */
  #choose(session: Session): Choice {
    const { pool } = this.#options
    const isOpaque = session.first !== undefined && !['startup', 'cancel'].includes(session.first.kind)
    if (this.config.pool === 'leader' || !isOpaque) return pool.choose(session)
    const { tried, source } = session
    const choice = pool.choose({ tried, source, draw: candidates => this.#affinity.draw(source, candidates) })
    if (choice.kind === 'backend') this.#affinity.note(source, session, choice.backend)
    return choice
  }

  #onDraining(session: Session): void {
    this.#affinity.forget(session)
    this.#draining.add(session)
    this.#serveQueue()
  }

  #onEnded(session: Session, why: string): void {
    this.sessions.delete(session)
    this.#affinity.forget(session)
    this.#draining.delete(session)
    const counters = session.counters()
    const { metrics } = this.#options
    metrics.ended(this.config.name, why, counters?.toServerBytes ?? 0, counters?.toClientBytes ?? 0)
    this.#serveQueue()
  }

  /** A place on a server may be free: whoever has waited longest for one gets it. */
  #serveQueue(): void {
    if (this.queue.size === 0 || this.#isStopped || !this.#options.pool.hasRoom()) return
    for (const session of this.queue.take(1)) session.wake()
  }

  #createRateQueue(perSecond: number): RateQueue {
    const { clock, mayServe, config } = this.#options
    return new RateQueue({
      clock,
      perSecond,
      acceptsProxy: config.acceptsProxy,
      capacity: () => this.sessionsMax - this.taken,
      onTurn: client => {
        if (mayServe(client)) this.#serve(client)
        else client.reset()
      },
    })
  }

  #createTurnAway(): TurnAway {
    const { clock, events } = this.#options
    const { name, binds, onNoBackend, acceptsProxy } = this.config
    const together = 'on all ports together'
    return new TurnAway({
      clock,
      acceptsProxy,
      plainErrors: onNoBackend.plainErrors,
      detail: limit =>
        limit === 'listener'
          ? `listener ${name} has ${this.taken} sessions, its limit`
          : `the proxy has as many sessions as it may have ${together}`,
      admits: source => this.#admits(source),
      cancel: (processId, secret, source) => this.#cancel(processId, secret, source),
      onFull: limit =>
        events.record({
          kind: 'limit-reached',
          says:
            limit === 'listener'
              ? `listener ${name} (${printBinds(binds)}) has reached its limit of ${this.sessionsMax} sessions: new clients are turned away`
              : `the proxy has reached its limit of sessions ${together}: new clients of listener ${name} are turned away`,
          facts: { listener: name, limit, sessions: this.taken },
        }),
    })
  }

  /** A known key goes to its server alone; an unknown one may belong to an encrypted session on any candidate. */
  async #cancel(processId: number, secret: string, source: string): Promise<void> {
    const { cancels, pool, metrics } = this.#options
    const known = cancels.find(processId, secret)
    const holders =
      known === undefined ? pool.candidates().map(backend => ({ backend, gate: backend.gate })) : [known]
    const targets = holders.map(holder => ({ ...holder, way: pool.optionsOf(holder.backend) }))
    const isSent =
      this.#cancelRate.take(source) &&
      (await this.#cancelRequests.forward(targets, known !== undefined, processId, secret))
    if (!isSent) metrics.cancelDropped(this.config.name)
  }

  #admits(source: string | undefined): boolean {
    const { access } = this.config
    const isRateKept = this.#sourceRate === undefined || this.#sourceRate.take(source ?? '')
    return this.#noted(isRateKept && isAcceptedByAll(source, access.rules))
  }

  /** Counts who is not let in. */
  #noted(isAdmitted: boolean): boolean {
    if (!isAdmitted) {
      this.deniedTotal += 1
      this.#options.metrics.denied(this.config.name)
    }
    return isAdmitted
  }

  #onClient(client: Wire): void {
    const { metrics, mayServe } = this.#options
    if (!mayServe(client)) {
      client.reset()
      return
    }
    this.acceptedTotal += 1
    metrics.accepted(this.config.name)
    const isAdmitted = this.#admitsPeer(client) && (this.config.acceptsProxy || this.#admitsBare(client))
    if (!isAdmitted) this.#dismissal.dismiss(client)
    else if (this.#rateQueue === undefined || this.taken >= this.sessionsMax) this.#serve(client)
    else if (!this.#rateQueue.take(client)) {
      this.#noted(false)
      this.#dismissal.dismiss(client)
    }
  }

  /** Gives it a session, or says why there is none. */
  #serve(client: Wire): void {
    const { metrics, hasPlace, pool } = this.#options
    const isFull = this.taken >= this.sessionsMax
    if (isFull || !hasPlace()) {
      metrics.turnedAway(this.config.name)
      this.#turnAway.take(client, isFull ? 'listener' : 'all')
      return
    }
    // Nobody may wait and nobody is told why: then there is nothing to wait for, not even the first packet.
    if (this.#closesAtOnce() && pool.isEmpty()) {
      metrics.ended(this.config.name, 'no-backend', 0, 0)
      this.#dismissal.dismiss(client)
      return
    }
    this.#lastSessionId += 1
    this.sessions.add(new Session(this.#lastSessionId, client, this.#host))
  }

  #admitsPeer(client: Wire): boolean {
    const { peerRules } = this.config.access
    return peerRules.length === 0 || this.#noted(isAccepted(client.endpoints().source, peerRules))
  }

  /** The address costs a system call: it is only asked for where a rule needs it. */
  #admitsBare(client: Wire): boolean {
    if (this.#sourceRate === undefined && this.config.access.rules.length === 0) return true
    return this.#admits(client.endpoints().source)
  }

  #closesAtOnce(): boolean {
    const { holdMs, afterHold } = this.config.onNoBackend
    return holdMs === 0 && afterHold === 'close'
  }
}
