// Follows who comes into a pool of reads and who leaves it: sessions stay on a server that left for a while (lag comes
// and goes), and a server that came back gets its share slowly.

import type { Clock, Timer } from '../platform/clock.ts'
import type { Backend } from './backend.ts'

export interface LeaversOptions {
  readonly clock: Clock
  /** How long sessions of this pool stay; undefined: as long as they want. */
  cutAfterMs(pool: string): number | undefined
  /** Do sessions of this pool stay on this server all the same (it has become the leader)? */
  keeps(pool: string, member: string): boolean
  backendOf(member: string): Backend | undefined
  onCut(pool: string, member: string, sessionsCut: number): void
}

type Pools = ReadonlyMap<string, readonly string[]>

export class Leavers {
  readonly #options: LeaversOptions
  readonly #leaving = new Map<string, Timer>()
  readonly #upSince = new Map<string, number>()

  constructor(options: LeaversOptions) {
    this.#options = options
  }

  /** Takes the change of all pools. */
  changed(before: Pools, now: Pools): void {
    for (const [pool, members] of now) {
      const old = before.get(pool) ?? []
      for (const member of members) if (!old.includes(member)) this.#onIn(pool, member, before.has(pool))
      for (const member of old) if (!members.includes(member)) this.#onOut(pool, member)
    }
  }

  /** When it came in; undefined: it was there from the start. */
  upSinceMs(pool: string, member: string): number | undefined {
    return this.#upSince.get(`${pool}\0${member}`)
  }

  stop(): void {
    for (const timer of this.#leaving.values()) timer.cancel()
    this.#leaving.clear()
  }

  #onIn(pool: string, member: string, isLater: boolean): void {
    const key = `${pool}\0${member}`
    this.#leaving.get(key)?.cancel()
    this.#leaving.delete(key)
    if (isLater) this.#upSince.set(key, this.#options.clock.monotonicMs())
  }

  #onOut(pool: string, member: string): void {
    const key = `${pool}\0${member}`
    this.#upSince.delete(key)
    const cutAfterMs = this.#options.cutAfterMs(pool)
    if (cutAfterMs === undefined) return
    const timer = this.#options.clock.setTimer(cutAfterMs, () => {
      this.#leaving.delete(key)
      if (!this.#options.keeps(pool, member)) this.#cut(pool, member)
    })
    this.#leaving.set(key, timer)
  }

  #cut(pool: string, member: string): void {
    const backend = this.#options.backendOf(member)
    const says = `${member} has left the pool ${pool}`
    const count = backend?.cutAll('left-pool', says, session => session.listener === pool) ?? 0
    if (count > 0) this.#options.onCut(pool, member, count)
  }
}
