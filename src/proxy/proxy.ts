// Puts the proxy's parts together and starts and stops them in order. Holds no rule of its own.

import type { Registry } from 'prom-client'
import { type ProxyConfig, printBind } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import { registerGauges } from './admin/gauges.ts'
import { AdminServer } from './admin/server.ts'
import type { StatusParts } from './admin/status.ts'
import { CancelKeys } from './cancel.ts'
import { sessionLimits } from './descriptors.ts'
import { EtcdSource } from './etcd-source.ts'
import { ProxyEvents } from './events.ts'
import { Listener } from './listener.ts'
import { createProxyMetrics } from './metrics.ts'
import { Narrator } from './narrator.ts'
import type { SessionTotals } from './outage.ts'
import { PatroniSource } from './patroni-source.ts'
import { createPool } from './pool.ts'
import { Probers } from './probers.ts'
import { keepRegistered } from './registration.ts'
import { Router } from './router.ts'
import type { Source } from './source.ts'

export interface ProxyParts {
  readonly config: ProxyConfig
  readonly clock: Clock
  readonly log: Logger
  readonly registry: Registry
  /** Present exactly when the configuration names etcd. */
  readonly dcs: Dcs | undefined
  readonly version: string
  readonly pid: number
  /** The process's limit of open files; undefined when it is not known. */
  readonly descriptorsMax: number | undefined
}

export class ProxyServer {
  readonly #parts: ProxyParts
  readonly #events: ProxyEvents
  readonly #router: Router
  readonly #source: Source
  readonly #probers: Probers
  readonly #listeners: readonly Listener[]
  readonly #admin: AdminServer
  readonly #totals: SessionTotals = { cut: 0, held: 0 }
  readonly #stopping = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  constructor(parts: ProxyParts) {
    const { config, clock, log, registry } = parts
    this.#parts = parts
    this.#events = new ProxyEvents({ clock, log, source: config.name, file: config.eventsFile })
    this.#router = this.#createRouter()
    this.#source = this.#createSource()
    this.#probers = this.#createProbers()
    this.#listeners = this.#createListeners()
    const status = this.#statusParts()
    registerGauges(registry, status)
    this.#admin = new AdminServer({ bind: config.admin.bind, registry, parts: status })
  }

  /** Begins to listen and to learn. Nothing is routed before the first evidence. Throws UserError for a taken port. */
  async start(): Promise<void> {
    const { config, log, dcs } = this.#parts
    try {
      await this.#admin.listen()
      for (const listener of this.#listeners) await listener.listen()
    } catch (error) {
      await this.stop('the proxy could not start')
      throw error
    }
    for (const { config: listener } of this.#listeners) {
      log.info(`listening on ${printBind(listener.bind)} (${listener.name}, pool ${listener.pool})`)
    }
    log.info(`status on ${printBind(config.admin.bind)}`)
    const { signal } = this.#stopping
    const registered = dcs === undefined ? undefined : this.#register(dcs, signal)
    this.#running = Promise.all([this.#source.run(signal), registered])
  }

  /** Stops listening, cuts every session and waits until everything of the proxy is gone. */
  async stop(says: string): Promise<void> {
    this.#stopping.abort(new Error(says))
    for (const listener of this.#listeners) listener.stop(says)
    this.#router.stop()
    this.#admin.close()
    await Promise.all([this.#probers.close(), this.#running])
  }

  #scope = (): string => {
    const { scope } = this.#parts.config
    return scope ?? (this.#source instanceof PatroniSource ? this.#source.scope : undefined) ?? 'unknown'
  }

  #createRouter(): Router {
    const { clock, config } = this.#parts
    const narrator = new Narrator({
      clock,
      events: this.#events,
      totals: this.#totals,
      scope: this.#scope,
      storeSilentMs: () => this.#source.silentMs(),
    })
    return new Router(
      { clock, narrator, limits: config.checks, timing: config.checks },
      {
        onRouted: () => {
          for (const listener of this.#listeners) listener.release()
        },
        onMembers: members => this.#probers.follow(members),
        onCurious: (member, delayMs) => this.#probers.kick(member, delayMs),
        onDoubt: () => this.#source.refresh(),
      },
    )
  }

  #createSource(): Source {
    const { clock, dcs, config } = this.#parts
    const shared = { clock, router: this.#router, events: this.#events }
    if (dcs !== undefined) return new EtcdSource({ ...shared, dcs })
    const seeds = config.discovery.kind === 'patroni' ? config.discovery.urls : []
    return new PatroniSource({ ...shared, seeds })
  }

  #createProbers(): Probers {
    const { clock, config } = this.#parts
    return new Probers({
      clock,
      schedule: config.checks,
      isHurried: member => this.#router.isHurried(member),
      onResult: (member, result) => {
        this.#router.applyProbe(member, result)
        this.#source.onProbe()
      },
    })
  }

  #createListeners(): readonly Listener[] {
    const { config, clock, registry, log, descriptorsMax } = this.#parts
    const cancels = new CancelKeys()
    const metrics = createProxyMetrics(registry)
    const limits = sessionLimits(config.listeners, descriptorsMax)
    if (limits.says !== undefined) log.warning(limits.says, { event: 'descriptor-limit' })
    return config.listeners.map(
      (listener, index) =>
        new Listener({
          config: listener,
          sessionsMax: limits.sessionsMax[index] ?? listener.connectionsMax,
          clock,
          cancels,
          metrics,
          pool: createPool(listener.pool, listener.fallback, this.#router),
          events: this.#events,
          totals: this.#totals,
          explain: () => this.#router.explain(),
          onRefused: (backend, why) => {
            log.debug(`${backend.name}: ${why}`, { backend: backend.name })
            this.#router.applyRefusal(backend.name)
          },
        }),
    )
  }

  #register(dcs: Dcs, signal: AbortSignal): Promise<void> {
    const { clock, log, config, pid, version } = this.#parts
    const listeners = Object.fromEntries(config.listeners.map(({ name, bind }) => [name, printBind(bind)]))
    const value = { name: config.name, version, listeners, admin: printBind(config.admin.bind) }
    return keepRegistered({ clock, dcs, log, id: `${config.name}-${pid}`, value }, signal)
  }

  #statusParts(): StatusParts {
    const { clock, config, version } = this.#parts
    return {
      clock,
      version,
      name: config.name,
      scope: this.#scope,
      startedAtMs: clock.monotonicMs(),
      router: this.#router,
      listeners: this.#listeners,
      events: this.#events,
      storeKind: config.discovery.kind,
      storeSilentMs: () => this.#source.silentMs(),
    }
  }
}
