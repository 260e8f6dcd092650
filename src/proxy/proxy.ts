// Puts the proxy's parts together and starts and stops them in order. Holds no rule of its own.

import { type ListenerConfig, printBinds } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { ProbeTls, ProbeTlsNow } from '../health/probe.ts'
import { WheelClock } from '../platform/timer-wheel.ts'
import { registerGauges } from './admin/gauges.ts'
import { AdminServer } from './admin/server.ts'
import type { StatusParts } from './admin/status.ts'
import { CancelKeys } from './cancel.ts'
import { Checks } from './checks.ts'
import { sessionLimits } from './descriptors.ts'
import { EtcdSource } from './etcd-source.ts'
import { type EventSink, ProxyEvents } from './events.ts'
import type { Announced } from './evidence-book.ts'
import { isOwnPool, leaderRuleOf, uniqueServers } from './listed-servers.ts'
import { Listener } from './listener.ts'
import { createProxyMetrics } from './metrics.ts'
import { Narrator } from './narrator.ts'
import type { SessionTotals } from './outage.ts'
import { PatroniSource } from './patroni-source.ts'
import { SuspendWatch } from './pause-watch.ts'
import { Pinger } from './pinger.ts'
import { createPool } from './pool.ts'
import { createSpecs } from './pool-specs.ts'
import { Ports } from './ports.ts'
import { Probers } from './probers.ts'
import type { ProxyParts } from './proxy-parts.ts'
import { Registration } from './registration.ts'
import type { Wire } from './relay/wire.ts'
import { Router } from './router.ts'
import { Shedder } from './shedder.ts'
import { canSetUserTimeout, noUserTimeout } from './socket-options.ts'
import type { Source } from './source.ts'
import { readStanding, type Standing } from './standing.ts'
import { StaticSource } from './static-source.ts'
import { TermEnd } from './term-end.ts'

/** Events about failures of this host: no more than one in this time. */
const LOCAL_FAILURE_EVERY_MS = 10_000
/** A hurried probe of a silent member gets this long, so that silence is found out within two intervals. */
const HURRIED_TIMEOUT_MS = 250

export class ProxyServer {
  readonly #parts: ProxyParts
  readonly #events: ProxyEvents
  readonly #router: Router
  readonly #termEnd: TermEnd
  readonly #source: Source
  readonly #watch: SuspendWatch
  readonly #probers: Probers
  readonly #checks: Checks
  readonly #pinger: Pinger | undefined
  readonly #shedder: Shedder
  readonly #listeners: readonly Listener[]
  readonly #admin: AdminServer
  readonly #totals: SessionTotals = { cut: 0, held: 0 }
  readonly #stopping = new AbortController()
  readonly #ports: Ports
  #registration: Registration | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor(parts: ProxyParts) {
    const { config, clock, log, registry } = parts
    this.#parts = parts
    this.#events = new ProxyEvents({ clock, log, source: config.name, file: config.eventsFile })
    this.#watch = new SuspendWatch({ clock, onSuspended: sleptMs => this.#router.applySleep(sleptMs) })
    if (parts.threads !== undefined) parts.threads.onSlept = () => this.#watch.check()
    this.#router = this.#createRouter()
    const onHeld = (end: Announced) => this.#registration?.holds(end)
    this.#ports = new Ports(parts.log, this.#stopping.signal)
    this.#termEnd = new TermEnd({ clock, router: this.#router, onHeld })
    this.#source = this.#createSource()
    this.#probers = this.#createProbers()
    this.#checks = this.#createChecks()
    this.#pinger = this.#createPinger()
    this.#listeners = this.#createListeners()
    this.#shedder = new Shedder({
      clock,
      listeners: this.#listeners,
      router: this.#router,
      events: this.#events,
    })
    const status = this.#statusParts()
    registerGauges(registry, status)
    this.#admin = new AdminServer({ ...config.admin, registry, parts: status })
  }

  /** Where the proxy's events are kept, for parts that were made outside it. */
  get events(): EventSink {
    return this.#events
  }

  /** What virtual addresses that follow somebody must know. */
  standing(): Standing {
    return readStanding(this.#router, this.#listeners)
  }

  /** Begins to listen and to learn. Nothing is routed before the first evidence. Throws UserError for a taken port. */
  async start(): Promise<void> {
    const { config, log, dcs } = this.#parts
    try {
      await this.#admin.listen()
      for (const listener of this.#listeners) {
        if (this.#stopping.signal.aborted) return
        if (!listener.config.onNoBackend.stopsListening) await listener.listen()
      }
    } catch (error) {
      await this.stop('the proxy could not start')
      throw error
    }
    for (const { config: listener } of this.#listeners) {
      log.info(`listening on ${printBinds(listener.binds)} (${listener.name}, pool ${listener.pool})`)
    }
    if (!canSetUserTimeout()) log.warning(noUserTimeout, { event: 'no-user-timeout' })
    if (config.admin.binds.length > 0) log.info(`status on ${printBinds(config.admin.binds)}`)
    const { signal } = this.#stopping
    if (signal.aborted) return
    this.#watch.start()
    this.#parts.pem.watch()
    this.#checks.start()
    this.#shedder.start()
    if (dcs !== undefined) this.#registration = this.#createRegistration(dcs)
    this.#running = Promise.all([this.#source.run(signal), this.#registration?.keep(signal)])
  }

  /** Stops listening, cuts every session and waits until everything of the proxy is gone. */
  async stop(says: string): Promise<void> {
    this.#stopping.abort(new Error(says))
    this.#watch.stop()
    this.#parts.pem.stop()
    this.#shedder.stop()
    this.#pinger?.stop()
    const ended = this.#listeners.map(listener => listener.stop(says))
    this.#router.stop()
    this.#termEnd.stop()
    this.#admin.close()
    await Promise.all([this.#probers.close(), this.#checks.close(), this.#running, ...ended])
  }

  #scope = (): string => {
    const { scope } = this.#parts.config
    return scope ?? (this.#source instanceof PatroniSource ? this.#source.scope : undefined) ?? 'unknown'
  }

  #createRouter(): Router {
    const { clock, config } = this.#parts
    const { checks, listeners, discovery } = config
    const narrator = new Narrator({
      clock,
      events: this.#events,
      totals: this.#totals,
      scope: this.#scope,
      storeSilentMs: () => this.#source.silentMs(),
    })
    const leader = discovery.kind === 'static' ? this.#leaderListener() : undefined
    return new Router(
      {
        clock,
        narrator,
        limits: checks,
        timing: checks,
        watch: this.#watch,
        pools: createSpecs(listeners),
        needsPing: this.#pings(),
        onDcsLoss: config.onDcsLoss,
        isStoreSilent: () => this.#source.silentMs() !== undefined,
        servers: discovery.kind === 'static' ? [] : uniqueServers(listeners.filter(isOwnPool)),
        cutAfterMs: pool => listeners.find(({ name }) => name === pool)?.cutAfterMs,
        ...(leader === undefined ? {} : { leaderRule: member => leaderRuleOf(leader, member) }),
      },
      {
        onRouted: () => this.#onRouted(),
        onMembers: members => {
          if (discovery.kind !== 'static') this.#probers.follow(members)
        },
        onCurious: (member, delayMs) => {
          this.#probers.kick(member, delayMs)
          this.#checks.kick(member, delayMs)
          this.#pinger?.forget(member)
        },
        onDoubt: () => this.#source.refresh(),
        onPing: member => this.#pinger?.want(member),
      },
    )
  }

  #leaderListener(): ListenerConfig | undefined {
    const { discovery, listeners } = this.#parts.config
    if (discovery.kind !== 'static') return undefined
    return listeners.find(({ name }) => name === discovery.leaderListener)
  }

  /** A server that wants a PROXY header would take a bare start-up packet for an attack. */
  #pings(): boolean {
    const { checks, listeners } = this.#parts.config
    const wantsHeader = listeners.some(
      ({ servers, serverDefaults }) =>
        serverDefaults.sendProxy !== undefined || servers.some(({ sendProxy }) => sendProxy !== undefined),
    )
    return checks.pingUser !== undefined && !wantsHeader
  }

  #onRouted(): void {
    this.#parts.vip?.onStanding()
    this.#termEnd?.look()
    for (const listener of this.#listeners ?? []) {
      if (listener.config.onNoBackend.stopsListening) this.#ports.openOrClose(listener)
      listener.release()
    }
  }

  #createSource(): Source {
    const { clock, dcs, config } = this.#parts
    const shared = { clock, router: this.#router, events: this.#events }
    if (dcs !== undefined) return new EtcdSource({ ...shared, dcs })
    if (config.discovery.kind === 'static') {
      const leaders = this.#leaderListener()?.servers.filter(({ isDisabled }) => !isDisabled) ?? []
      const servers = uniqueServers(config.listeners)
      return new StaticSource({ ...shared, servers, leaders: leaders.map(({ name }) => name) })
    }
    const seeds = config.discovery.kind === 'patroni' ? config.discovery.urls : []
    return new PatroniSource({ ...shared, seeds, tls: this.#tls() })
  }

  /** The certificates that count now for questions to members; the same object until their files changed. */
  #tls(): ProbeTlsNow {
    const { pem, config } = this.#parts
    const { tls } = config.checks
    if (tls.verify && tls.caFile === undefined && tls.certFile === undefined) return () => undefined
    let known: ProbeTls = { verify: tls.verify, ...pem.contentsOf(tls) }
    let contents = pem.contentsOf(tls)
    return () => {
      if (pem.contentsOf(tls) !== contents) {
        contents = pem.contentsOf(tls)
        known = { verify: tls.verify, ...contents }
      }
      return known
    }
  }

  #createProbers(): Probers {
    const { clock, config } = this.#parts
    const hurriedTimeoutMs = Math.min(config.checks.timeoutMs, HURRIED_TIMEOUT_MS)
    return new Probers({
      clock,
      tls: this.#tls(),
      schedule: config.compat === 'native' ? { ...config.checks, hurriedTimeoutMs } : config.checks,
      isHurried: member => this.#router.isHurried(member),
      isDown: member => this.#router.health.get(member)?.counter.isUp === false,
      onResult: (member, result) => {
        this.#router.applyProbe(member, result)
        this.#source.onProbe()
      },
    })
  }

  #createChecks(): Checks {
    const { clock, config, pem } = this.#parts
    const leader = this.#leaderListener()?.name
    return new Checks({
      clock,
      pem,
      // One section's checks say who leads; further ones for the leader would only ask the same again.
      listeners: config.listeners.filter(listener => isOwnPool(listener) || listener.name === leader),
      onResult: (listener, server, result, rule) => {
        if (listener === leader) {
          this.#router.applyProbe(server, result)
          this.#source.onProbe()
        } else this.#router.applyCheck(listener, server, result, rule)
      },
      healthOf: (listener, server) =>
        listener === leader ? this.#router.health.get(server) : this.#router.checksOf(listener)?.get(server),
    })
  }

  #createPinger(): Pinger | undefined {
    const { clock, config } = this.#parts
    const { pingUser, fastIntervalMs, timeoutMs } = config.checks
    if (pingUser === undefined) return undefined
    return new Pinger({
      clock,
      user: pingUser,
      everyMs: Math.min(fastIntervalMs, 1000),
      timeoutMs: Math.min(timeoutMs, 1000),
      addressOf: member => this.#router.members.get(member)?.address,
      onPing: (member, ping) => this.#router.applyPing(member, ping),
    })
  }

  #createListeners(): readonly Listener[] {
    const { config, transport, registry, log, descriptorsMax } = this.#parts
    const clock = new WheelClock(this.#parts.clock)
    const cancels = new CancelKeys()
    const metrics = createProxyMetrics(registry)
    const limits = sessionLimits(config.listeners, descriptorsMax, config.threads)
    if (limits.says !== undefined) log.warning(limits.says, { event: 'descriptor-limit' })
    const localFailure = this.#localFailureTeller()
    return config.listeners.map(
      (listener, index) =>
        new Listener({
          config: listener,
          sessionsMax: limits.sessionsMax[index] ?? listener.connectionsMax,
          clock,
          transport,
          cancels,
          metrics,
          pool: createPool(listener, this.#router, clock),
          events: this.#events,
          totals: this.#totals,
          hasPlace: () => this.#hasPlace(),
          mayServe: client => this.#mayServe(client),
          explain: () => this.#router.explain(listener),
          onRefused: (backend, why) => {
            log.debug(`${backend.name}: ${why}`, { backend: backend.name })
            this.#router.applyRefusal(backend.name)
          },
          onLocalFailure: localFailure,
          onConnected: backend => this.#router.applyConnected(backend.name),
        }),
    )
  }

  /** Without virtual addresses the client's is not asked for: it costs a system call. */
  #mayServe(client: Wire): boolean {
    const { vip, config } = this.#parts
    return vip === undefined || config.vips.length === 0 || vip.mayServe(client.endpoints().target)
  }

  #hasPlace(): boolean {
    const { connectionsMax } = this.#parts.config
    if (connectionsMax === undefined) return true
    return this.#listeners.reduce((sum, listener) => sum + listener.taken, 0) < connectionsMax
  }

  /** Connections that fail on this host say nothing about servers, but somebody must hear of them. */
  #localFailureTeller(): (why: string) => void {
    const { clock } = this.#parts
    let toldAtMs = Number.NEGATIVE_INFINITY
    return why => {
      if (clock.monotonicMs() - toldAtMs < LOCAL_FAILURE_EVERY_MS) return
      toldAtMs = clock.monotonicMs()
      this.#events.record({
        kind: 'local-failure',
        says: `connections to servers fail on this host: ${why}; the sessions try again`,
      })
    }
  }

  #createRegistration(dcs: Dcs): Registration {
    const { clock, log, config, pid, version } = this.#parts
    const listeners = Object.fromEntries(config.listeners.map(({ name, binds }) => [name, printBinds(binds)]))
    const value = { name: config.name, version, listeners, admin: printBinds(config.admin.binds) }
    const lastView = () => this.#source.lastView
    return new Registration({ clock, dcs, log, id: `${config.name}-${pid}`, value, lastView })
  }

  #statusParts(): StatusParts {
    const { clock, config, version, transport, threads } = this.#parts
    return {
      relay: transport.kind,
      ...(threads === undefined ? {} : { threads }),
      clock,
      version,
      name: config.name,
      scope: this.#scope,
      startedAtMs: clock.monotonicMs(),
      router: this.#router,
      listeners: this.#listeners,
      totals: this.#totals,
      events: this.#events,
      storeKind: config.discovery.kind,
      storeSilentMs: () => this.#source.silentMs(),
      vips: () => this.#parts.vip?.document() ?? [],
    }
  }
}
