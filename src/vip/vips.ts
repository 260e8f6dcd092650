// The virtual IPs of one process: makes their drivers, tells their events, counts, and answers for all of them together.

import type { Registry } from 'prom-client'
import type { EventDraft } from '../cluster/event.ts'
import type { JsonObject } from '../cluster/json.ts'
import type { CommandVipConfig, EtcdVipConfig, VipConfig } from '../config/vip/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import { invariant } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { AddressKeeper } from './addresses.ts'
import { CommandKeeper, callbackCommands, type KeeperCommands } from './command-keeper.ts'
import type { VipDriver, VipStatus, VipWish } from './driver.ts'
import { EtcdDriver } from './etcd-driver.ts'
import { LocalKeeper } from './keeper.ts'
import { mayServe } from './may-serve.ts'
import { createVipMetrics, type VipMetrics } from './metrics.ts'
import { NoneDriver } from './none-driver.ts'
import { VrrpInstance } from './vrrp/instance.ts'
import { createVrrpMetrics, type VrrpMetrics } from './vrrp/metrics.ts'

export interface VipsParts {
  readonly clock: Clock
  readonly log: Logger
  readonly registry: Registry
  readonly dcs: Dcs | undefined
  readonly scope: string
  /** Name of this process for people; with `id` unique among all that take part. */
  readonly self: string
  readonly id: string
  readonly guardWords: readonly string[]
  /** What the guard needs to give a lease back. */
  readonly store: unknown
  readonly kernelMs: () => number
  readonly record: (draft: EventDraft) => void
}

interface Entry {
  readonly config: VipConfig
  readonly driver: VipDriver
  readonly keeper: AddressKeeper | undefined
}

export class Vips {
  readonly #parts: VipsParts
  readonly #entries: readonly Entry[]
  readonly #metrics: VipMetrics

  constructor(configs: readonly VipConfig[], parts: VipsParts) {
    this.#parts = parts
    const metrics = configs.some(({ driver }) => driver === 'vrrp')
      ? createVrrpMetrics(parts.registry, () => this.#vrrpReadings())
      : undefined
    const virtual = new Set(configs.flatMap(({ addresses }) => addresses.map(({ address }) => address)))
    this.#entries = configs.map(config => createEntry(config, parts, metrics, virtual))
    this.#metrics = createVipMetrics(parts.registry, () => this.status())
  }

  /** For whoever tells their drivers what to wish. An instance of VRRP goes by its own checks. */
  get configs(): readonly VipConfig[] {
    return this.#entries.map(({ config }) => config).filter(({ driver }) => driver !== 'vrrp')
  }

  /** Throws UserError with one line when the system lacks something; then none is left running. */
  async start(): Promise<void> {
    for (const { config, driver } of this.#entries) {
      const { name } = config
      await driver.start({
        onOwned: says => this.#tell(name, 'vip-acquired', says, 'owner'),
        onLost: says => this.#tell(name, 'vip-released', says, 'other'),
        onNotice: (kind, says) =>
          this.#parts.record({ kind, says: `vip ${name}: ${says}`, facts: { vip: name } }),
      })
    }
  }

  wish(name: string, wish: VipWish): void {
    this.#entries.find(({ config }) => config.name === name)?.driver.wish(wish)
  }

  /**
   * May a client be served that came to this address of ours? False for a virtual IP that we hold no more: after a pause that
   * is found out here, before a byte is answered.
   */
  mayServe(localAddress: string | undefined): boolean {
    if (localAddress === undefined || this.#entries.length === 0) return true
    return mayServe(
      this.#entries.flatMap(({ keeper }) => keeper ?? []),
      localAddress,
    )
  }

  status(): readonly VipStatus[] {
    return this.#entries.map(({ driver }) => driver.status())
  }

  /** For the status document. */
  document(): readonly JsonObject[] {
    const nowMs = this.#parts.clock.monotonicMs()
    return this.status().map(status => ({
      name: status.name,
      driver: status.driver,
      state: status.state,
      says: status.says,
      owner: status.owner ?? null,
      priority: status.priority,
      since_ms: Math.round(nowMs - status.sinceMs),
      addresses: status.addresses.map(({ address, prefixLength, interfaceName }) =>
        `${address}/${prefixLength} ${interfaceName}`.trim(),
      ),
    }))
  }

  /** Without waiting for anything: the last act of a dying process. */
  dropNow(why: string): void {
    for (const { driver } of this.#entries) driver.dropNow(why)
  }

  async stop(by: Deadline): Promise<void> {
    await Promise.all(this.#entries.map(({ driver }) => driver.stop(by)))
  }

  #vrrpReadings(): ReturnType<Parameters<typeof createVrrpMetrics>[1]> {
    return this.#entries.flatMap(({ driver }) => (driver instanceof VrrpInstance ? [driver.reading] : []))
  }

  #tell(vip: string, kind: string, says: string, to: 'owner' | 'other'): void {
    this.#metrics.changed(vip, to)
    this.#parts.record({
      kind,
      says: `vip ${vip}: ${kind === 'vip-acquired' ? 'acquired' : 'released'}: ${says}`,
      facts: { vip },
    })
  }
}

function createEntry(
  config: VipConfig,
  parts: VipsParts,
  metrics: VrrpMetrics | undefined,
  virtual: ReadonlySet<string>,
): Entry {
  const { name, addresses, priority } = config
  if (config.driver === 'none') {
    const status: VipStatus = {
      ...{ name, driver: 'none', state: 'barred', says: 'moved by something else', owner: undefined },
      ...{ priority, addresses, sinceMs: parts.clock.monotonicMs() },
    }
    return { config, driver: new NoneDriver(status), keeper: undefined }
  }
  if (config.driver === 'vrrp') {
    invariant(metrics !== undefined, 'instances of VRRP are counted')
    const { clock, log, guardWords, kernelMs } = parts
    const { stallMs } = config
    const keeper = new LocalKeeper({ clock, log, addresses, stallMs, guardWords, store: undefined, kernelMs })
    return { config, driver: new VrrpInstance({ config, keeper, clock, log, metrics, virtual }), keeper }
  }
  const { dcs } = parts
  invariant(dcs !== undefined, 'a virtual IP that etcd elects has a store')
  const keeper = createKeeper(config, parts)
  const { clock, log, self, id } = parts
  const { ttlSeconds, preemptAfterMs, driver: kind } = config
  const driver = new EtcdDriver({ clock, log, dcs, keeper, kind, name, self, id, ttlSeconds, preemptAfterMs })
  return { config, driver, keeper }
}

function createKeeper(config: EtcdVipConfig | CommandVipConfig, parts: VipsParts): AddressKeeper {
  const { clock, log, guardWords, store, kernelMs, scope } = parts
  const { name, addresses, stallMs } = config
  const common = { clock, log, name, addresses, stallMs, guardWords, store, kernelMs }
  if (config.driver === 'etcd') return new LocalKeeper(common)
  return new CommandKeeper({
    ...common,
    commands: keeperCommands(config, scope),
    timeoutMs: config.timeoutMs,
  })
}

/** What moves the addresses, in words of commands. */
export function keeperCommands(config: CommandVipConfig, scope: string): KeeperCommands {
  const { add, del, check, callback } = config.commands
  return callback === undefined
    ? { add: add ?? [], del: del ?? [], check }
    : { ...callbackCommands(callback, config.callbackRole, scope), check }
}
