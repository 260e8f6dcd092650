// Connects a proxy with the virtual addresses that it may hold: what the proxy knows of the cluster becomes their wishes.

import { networkInterfaces } from 'node:os'
import type { Registry } from 'prom-client'
import type { EventDraft } from '../cluster/event.ts'
import type { ProxyConfig } from '../config/proxy/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import { realClock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { Logger } from '../platform/log.ts'
import type { ProxyServer } from '../proxy/proxy.ts'
import type { ProxyVip } from '../proxy/standing.ts'
import { Vips } from '../vip/vips.ts'
import { proxyWish } from '../vip/wish.ts'
import { type GuardStore, guardWords, kernelMs } from './vip.ts'

const LOOK_MS = 250

export interface ProxyVipsParts {
  readonly config: ProxyConfig
  readonly log: Logger
  readonly registry: Registry
  readonly dcs: Dcs | undefined
  readonly pid: number
  readonly record: (draft: EventDraft) => void
}

export class ProxyVips implements ProxyVip {
  readonly #vips: Vips
  #proxy: ProxyServer | undefined
  #timer: NodeJS.Timeout | undefined

  constructor({ config, log, registry, dcs, pid, record }: ProxyVipsParts) {
    const { name, scope = 'unknown', namespace, discovery } = config
    const store: GuardStore | undefined =
      discovery.kind === 'etcd' ? { etcd: discovery.etcd, namespace, scope } : undefined
    this.#vips = new Vips(config.vips, {
      clock: realClock,
      log: log.with({ part: 'vip' }),
      registry,
      dcs,
      scope,
      self: name,
      id: `${name}-${pid}`,
      guardWords: guardWords(),
      store,
      kernelMs,
      record,
    })
  }

  /** Takes part from now on. Throws UserError when the system lacks something. */
  async start(proxy: ProxyServer): Promise<void> {
    await this.#vips.start()
    this.#proxy = proxy
    this.#timer = setInterval(() => this.onStanding(), LOOK_MS)
    this.onStanding()
  }

  mayServe(localAddress: string | undefined): boolean {
    return this.#vips.mayServe(localAddress)
  }

  document(): ReturnType<Vips['document']> {
    return this.#vips.document()
  }

  onStanding(): void {
    if (this.#proxy === undefined) return
    const standing = this.#proxy.standing()
    const addresses = new Set(
      Object.values(networkInterfaces()).flatMap(found => found?.map(({ address }) => address) ?? []),
    )
    for (const { name, follow, priority, member } of this.#vips.configs)
      this.#vips.wish(name, proxyWish(follow, priority, standing, { member, addresses }))
  }

  dropNow(why: string): void {
    this.#vips.dropNow(why)
  }

  async stop(by: Deadline): Promise<void> {
    clearInterval(this.#timer)
    this.#proxy = undefined
    await this.#vips.stop(by)
  }
}
