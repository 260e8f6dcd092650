// Follows who comes into a pool of reads and who leaves it: sessions stay on a server that left for a while (lag comes
// and goes), for good on one that is well and only takes no new ones, and a server that came back gets its share slowly.

import type { Clock, Timer } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import type { RoutingTable } from './route.ts'

export interface LeaversOptions {
  readonly clock: Clock
  /** How long sessions of this pool stay on this server once it is down; undefined: as long as they want. */
  cutAfterMs(pool: string, member: string): number | undefined
  /** Do sessions of this pool stay on this server all the same (it has become the leader)? */
  keeps(pool: string, member: string): boolean
  /** Backups whose sessions end when this server takes sessions of the pool again. */
  relieves(pool: string, member: string): readonly string[]
  backendOf(member: string): Backend | undefined
  onCut(pool: string, member: string, says: string, sessionsCut: number): void
}

export class Leavers {
  readonly #options: LeaversOptions
  readonly #leaving = new Map<string, Timer>()
  readonly #upSince = new Map<string, number>()

  constructor(options: LeaversOptions) {
    this.#options = options
  }

  /** Takes the change of all pools. */
  changed(before: RoutingTable, now: RoutingTable): void {
    for (const [pool, members] of now.pools) {
      const old = before.pools.get(pool) ?? []
      const stays = [...members, ...(now.rests.get(pool) ?? [])]
      for (const member of old) if (!members.includes(member)) this.#upSince.delete(keyOf(pool, member))
      for (const member of stays) this.#stay(pool, member)
      for (const member of [...old, ...(before.rests.get(pool) ?? [])])
        if (!stays.includes(member)) this.#leave(pool, member)
      if (!before.pools.has(pool)) continue
      for (const member of members) if (!old.includes(member)) this.#come(pool, member)
    }
  }

  /** When it came in; undefined: it was there from the start. */
  upSinceMs(pool: string, member: string): number | undefined {
    return this.#upSince.get(keyOf(pool, member))
  }

  stop(): void {
    for (const timer of this.#leaving.values()) timer.cancel()
    this.#leaving.clear()
  }

  #come(pool: string, member: string): void {
    this.#upSince.set(keyOf(pool, member), this.#options.clock.monotonicMs())
    for (const backup of this.#options.relieves(pool, member))
      this.#cut(pool, backup, `${member} takes sessions of the pool ${pool} again, in place of ${backup}`)
  }

  #stay(pool: string, member: string): void {
    this.#leaving.get(keyOf(pool, member))?.cancel()
    this.#leaving.delete(keyOf(pool, member))
  }

  #leave(pool: string, member: string): void {
    const key = keyOf(pool, member)
    const cutAfterMs = this.#options.cutAfterMs(pool, member)
    if (cutAfterMs === undefined || this.#leaving.has(key)) return
    const timer = this.#options.clock.setTimer(cutAfterMs, () => {
      this.#leaving.delete(key)
      if (!this.#options.keeps(pool, member)) this.#cut(pool, member, `${member} has left the pool ${pool}`)
    })
    this.#leaving.set(key, timer)
  }

  #cut(pool: string, member: string, says: string): void {
    const backend = this.#options.backendOf(member)
    const count = backend?.cutAll('left-pool', says, session => session.listener === pool).begun ?? 0
    if (count > 0) this.#options.onCut(pool, member, says, count)
  }
}

function keyOf(pool: string, member: string): string {
  return `${pool}\0${member}`
}
