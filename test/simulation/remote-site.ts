// The other cluster, which a standby cluster follows: two servers behind one address, as a proxy's write port shows them. One
// of them is the primary and writes; sometimes it is lost and the other one goes on, perhaps without the last rows.

import type { HostPort } from '../../src/cluster/member.ts'
import type { Machine } from './core/machine.ts'
import type { Random } from './core/random.ts'
import type { Scheduler } from './core/scheduler.ts'
import { DataDirectory } from './postgres/data-directory.ts'
import { SimServer } from './postgres/server.ts'
import type { PostgresWorld } from './postgres/world.ts'

export const REMOTE_ADDRESS: HostPort = { host: '10.9.0.1', port: 5432 }
export const REMOTE_MACHINES = ['remote1', 'remote2'] as const
const WRITE_EVERY_MS = 400
const LOOK_MS = 100
const ROWS_LOST_MAX = 3

export class RemoteSite {
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #servers: readonly SimServer[]
  #primary: SimServer

  constructor(postgres: PostgresWorld, machine: (name: string) => Machine, random: Random) {
    this.#scheduler = postgres.scheduler
    this.#random = random
    this.#servers = REMOTE_MACHINES.map(name => new SimServer(postgres, machine(name), REMOTE_ADDRESS))
    const [first] = this.#servers
    if (first === undefined) throw new Error('a site has servers')
    this.#primary = first
  }

  get primary(): SimServer {
    return this.#primary
  }

  owns(server: SimServer): boolean {
    return this.#servers.includes(server)
  }

  start(): void {
    this.#primary.data = new DataDirectory(`75000000000000${this.#random.whole(10_000, 99_999)}`)
    this.#primary.start('primary', undefined)
    this.#write()
  }

  /** Its primary is lost with the rows that nobody else had, and the other server is promoted. */
  failOver(): void {
    const old = this.#primary
    const next = this.#servers.find(server => server !== old)
    if (next === undefined || old.data === undefined || !old.isPrimary) return
    const { data } = old
    const kept = Math.max(2, data.wal.length - this.#random.whole(0, ROWS_LOST_MAX))
    old.killFamily()
    next.data = DataDirectory.copyOf(data, kept)
    next.data.newestTimeline = data.newestTimeline
    this.#primary = next
    next.start('replica', undefined)
    this.#promote(next)
  }

  #promote(server: SimServer): void {
    if (server.isPrimary) return
    if (server.isServing) server.promote()
    this.#scheduler.in(LOOK_MS, () => this.#promote(server))
  }

  #write(): void {
    const { data } = this.#primary
    if (data !== undefined && this.#primary.isPrimary && this.#primary.isServing) {
      data.append('write', { id: -1, isAcknowledged: false })
      for (const sender of this.#primary.senders) sender.pump()
    }
    this.#scheduler.in(this.#random.between(0.5, 1.5) * WRITE_EVERY_MS, () => this.#write())
  }
}
