// What the modelled servers of one world share: where they are, and who wants to know what happens to them.

import type { HostPort } from '../../../src/cluster/member.ts'
import type { Network } from '../core/network.ts'
import type { Random } from '../core/random.ts'
import type { Scheduler } from '../core/scheduler.ts'
import type { WalRecord } from './data-directory.ts'
import type { SimServer } from './server.ts'

/** Told at the instant at which it happens. */
export interface ServerListener {
  /** The server tells a backend's client that its commit is durable. */
  onAcknowledged(server: SimServer, record: WalRecord): void
  onPromoted(server: SimServer): void
  /** A standby follows a history that is not its own: only the model can see it. */
  onCorrupted(server: SimServer, says: string): void
  /** One agent works on one server in two ways at the same time. */
  onTwoActions(server: SimServer, says: string): void
  onSyncWait(server: SimServer): void
  onRewound(server: SimServer, discarded: readonly WalRecord[]): void
}

export class PostgresWorld {
  readonly scheduler: Scheduler
  readonly network: Network
  readonly random: Random
  readonly listener: ServerListener
  readonly servers: SimServer[] = []
  #reigns = 0

  constructor(scheduler: Scheduler, network: Network, random: Random, listener: ServerListener) {
    this.scheduler = scheduler
    this.network = network
    this.random = random
    this.listener = listener
  }

  /** A number for each promotion, in the order of time. */
  nextReign(): number {
    this.#reigns += 1
    return this.#reigns
  }

  at(address: HostPort): SimServer | undefined {
    const there = this.servers.filter(
      server => server.address.host === address.host && server.address.port === address.port,
    )
    // Behind one address may be several: it leads to the one that runs.
    return there.find(server => server.isServing) ?? there[0]
  }
}
