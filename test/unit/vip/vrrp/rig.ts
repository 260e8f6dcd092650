// Instances on a network that is held in memory: each with a keeper that only remembers, all on one clock.

import { Registry } from 'prom-client'
import { parseKeepalived } from '../../../../src/config/keepalived/load.ts'
import type { VrrpInstanceConfig } from '../../../../src/config/keepalived/types.ts'
import type { AddressKeeper, KeeperEvents, Taken, TakeOptions } from '../../../../src/vip/addresses.ts'
import { VrrpDriver } from '../../../../src/vip/vrrp/driver.ts'
import type { LinkState } from '../../../../src/vip/vrrp/link.ts'
import { createVrrpMetrics } from '../../../../src/vip/vrrp/metrics.ts'
import type { Wire, WireOptions } from '../../../../src/vip/vrrp/raw-socket.ts'
import type { CheckState } from '../../../../src/vip/vrrp/tracking.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** Remembers when addresses came and went, and keeps the deadline as the real one does. */
export class MemoryKeeper implements AddressKeeper {
  readonly addresses = []
  readonly #clock: FakeClock
  #events: KeeperEvents | undefined
  #untilMs = Number.NEGATIVE_INFINITY
  /** As the guard that does not run, or an interface that is not there. */
  lacks: string | undefined
  isHeld = false
  announcements = 0
  failsWith: string | undefined

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  async open(events: KeeperEvents): Promise<void> {
    this.#events = events
  }

  async take({ untilMs }: TakeOptions): Promise<Taken> {
    if (this.lacks !== undefined) return { outcome: 'failed', why: this.lacks }
    if (this.failsWith !== undefined) return { outcome: 'failed', why: this.failsWith }
    this.isHeld = true
    this.#untilMs = untilMs ?? Number.POSITIVE_INFINITY
    return { outcome: 'held' }
  }

  extend(untilMs: number): void {
    if (this.check()) this.#untilMs = untilMs
  }

  drop(): void {
    this.isHeld = false
  }

  async settle(): Promise<void> {}
  nameLease(): void {}

  announce(): void {
    this.announcements += 1
  }

  check(): boolean {
    if (this.isHeld && this.#clock.monotonicMs() >= this.#untilMs) this.lose('the deadline passed')
    return this.isHeld
  }

  get fault(): string | undefined {
    return this.lacks
  }

  set(lacks: string | undefined): void {
    this.lacks = lacks
    this.#events?.onChanged()
  }

  /** As when the guard process died. */
  lose(why: string): void {
    this.isHeld = false
    this.#events?.onDropped(why)
  }

  async close(): Promise<void> {
    this.isHeld = false
  }
}

export class Node {
  readonly address: string
  readonly driver: VrrpDriver
  readonly keeper: MemoryKeeper
  readonly told: string[] = []
  readonly notified: string[] = []
  readonly logged: string[] = []
  readonly registry = new Registry()
  link: LinkState | undefined = 'up'
  readonly checks = new Map<string, CheckState>()
  sendError: string | undefined
  /** Peers that cannot be reached. */
  readonly unreachable = new Set<string>()
  /** Adverts that left. */
  sent = 0
  /** Address of the interface; a wire that was opened with another one sends nothing. */
  source: string | undefined
  sourceError: string | undefined

  constructor(network: MemoryNetwork, address: string, config: VrrpInstanceConfig) {
    const { clock } = network
    this.address = address
    this.source = address
    this.keeper = new MemoryKeeper(clock)
    const say = (text: string) => void this.logged.push(text)
    const log = { debug: say, info: say, warning: say, error: say, critical: say, with: () => log }
    this.driver = new VrrpDriver({
      config,
      ...{ keeper: this.keeper, clock, log },
      metrics: createVrrpMetrics(this.registry, () => [this.driver.reading]),
      openWire: options => network.open(this, options),
      ownAddress: () => {
        if (this.sourceError !== undefined) throw new Error(this.sourceError)
        return this.source
      },
      linkOf: () => this.link,
      checkOf: name => this.checks.get(name) ?? 'unknown',
      mayBegin: () => true,
      notify: words => void this.notified.push(words.join(' ')),
    })
  }

  async start(): Promise<void> {
    await this.driver.start({
      onOwned: () => void this.told.push('owned'),
      onLost: () => void this.told.push('lost'),
      onNotice: kind => void this.told.push(kind),
    })
  }

  get state(): string {
    return this.driver.status().state
  }
}

export class MemoryNetwork {
  readonly clock = new FakeClock()
  readonly nodes: Node[] = []
  readonly #wires = new Map<Node, WireOptions>()
  /** Pairs of addresses, `from to`, between which everything is lost. */
  readonly cuts = new Set<string>()

  /** An instance from the lines of a keepalived.conf. */
  node(lines: string, address = `10.0.0.${this.nodes.length + 1}`): Node {
    const text = `${lines.includes('vrrp_script') ? '' : 'vrrp_instance V {\n'}${lines}
      interface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.100 }\n}`
    const [config] = parseKeepalived(text, 'k.conf', { lenient: false, selfNames: [] }).config.instances
    if (config === undefined) throw new Error('no instance')
    const node = new Node(this, address, config)
    this.nodes.push(node)
    return node
  }

  open(node: Node, options: WireOptions): Wire {
    this.#wires.set(node, options)
    return {
      send: make => {
        if (node.sendError !== undefined) throw new Error(node.sendError)
        if (options.source !== node.source) throw new Error('EINVAL')
        const failures: string[] = []
        for (const destination of options.peers ?? [options.group]) {
          if (node.unreachable.has(destination)) failures.push(`to ${destination}: ENETUNREACH`)
          else this.#deliver(node, destination, make(destination))
        }
        node.sent += 1
        return failures
      },
      close: () => void this.#wires.delete(node),
    }
  }

  get masters(): readonly string[] {
    return this.nodes.filter(({ driver }) => driver.reading.isMaster).map(({ address }) => address)
  }

  get holders(): readonly string[] {
    return this.nodes.filter(({ keeper }) => keeper.isHeld).map(({ address }) => address)
  }

  #deliver(from: Node, destination: string, bytes: Buffer): void {
    for (const [node, { onArrival }] of [...this.#wires]) {
      const isMeant = destination === '224.0.0.18' || destination === node.source
      if (node === from || !isMeant || this.cuts.has(`${from.address} ${node.address}`)) continue
      onArrival({ bytes, source: from.source ?? '', destination, hopLimit: 255 })
    }
  }
}
