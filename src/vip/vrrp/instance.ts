// One VRRP instance with all that it needs of this host: its sockets, the state of its links, its checks and its commands.

import type { VrrpVipConfig } from '../../config/vip/types.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/log.ts'
import { nativeLibrary } from '../../platform/native.ts'
import type { AddressKeeper } from '../addresses.ts'
import type { VipDriver, VipEvents, VipStatus, VipWish } from '../driver.ts'
import { Rtnetlink } from '../rtnetlink.ts'
import { CheckBoard } from './check-board.ts'
import { VrrpDriver } from './driver.ts'
import { type LinkState, LinkWatch } from './link.ts'
import type { InstanceReading, VrrpMetrics } from './metrics.ts'
import { Notifier } from './notify.ts'
import { openWire } from './raw-socket.ts'
import { senderOf } from './sender.ts'

export interface VrrpInstanceParts {
  readonly config: VrrpVipConfig
  readonly keeper: AddressKeeper
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: VrrpMetrics
  /** The addresses that this process moves, of all its instances: no advert leaves from one of them. */
  readonly virtual: ReadonlySet<string>
}

export class VrrpInstance implements VipDriver {
  readonly name: string
  readonly #parts: VrrpInstanceParts
  readonly #driver: VrrpDriver
  readonly #checks: CheckBoard
  readonly #notifier: Notifier
  readonly #links = new Map<string, LinkState>()
  #watch: LinkWatch | undefined
  #delay: Timer | undefined
  #hasBegun = false

  constructor(parts: VrrpInstanceParts) {
    const { config, clock, log, keeper, metrics } = parts
    this.name = config.name
    this.#parts = parts
    this.#notifier = new Notifier(clock, log)
    this.#checks = new CheckBoard({
      clock,
      log,
      checks: config.checks,
      onChange: () => this.#driver.refresh(),
    })
    this.#driver = new VrrpDriver({
      config: config.instance,
      ...{ keeper, clock, log, metrics },
      openWire: options => openWire(nativeLibrary(), options),
      ownAddress: () => this.#ownAddress(),
      linkOf: name => this.#links.get(name),
      checkOf: name => this.#checks.stateOf(name),
      mayBegin: () => this.#hasBegun,
      notify: words => this.#notifier.run(words),
    })
  }

  /** Checks begin at once, so that they have answered when vrrp_startup_delay is over. */
  async start(events: VipEvents): Promise<void> {
    const { clock, config } = this.#parts
    await this.#driver.start(events)
    this.#checks.start()
    this.#delay = clock.setTimer(config.startDelayMs, () => {
      this.#hasBegun = true
      this.#driver.refresh()
    })
    this.#watch = new LinkWatch(clock, ({ name, state }) => {
      if (this.#links.get(name) === state) return
      this.#links.set(name, state)
      this.#driver.refresh()
    })
  }

  wish(wish: VipWish): void {
    this.#driver.wish(wish)
  }

  status(): VipStatus {
    return this.#driver.status()
  }

  get reading(): InstanceReading {
    return this.#driver.reading
  }

  dropNow(why: string): void {
    this.#driver.dropNow(why)
  }

  async stop(by: Deadline): Promise<void> {
    this.#delay?.cancel()
    await this.#driver.stop(by)
    this.#watch?.stop()
    await this.#checks.stop()
    await this.#notifier.finish(by)
  }

  #ownAddress(): string | undefined {
    const { config, virtual } = this.#parts
    const { interfaceName, family } = config.instance
    const netlink = new Rtnetlink()
    try {
      const index = netlink.link(interfaceName)?.index
      return senderOf({ index, family }, netlink.addresses(), virtual)
    } finally {
      netlink.close()
    }
  }
}
