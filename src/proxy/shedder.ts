// Read sessions that went to the leader because there was no replica leave it again when replicas are back: a few at a
// time, and only those that are known to be idle. Encrypted sessions cannot be told idle and stay.

import type { Clock, Timer } from '../platform/clock.ts'
import type { EventSink } from './events.ts'
import type { Listener } from './listener.ts'
import type { Router } from './router.ts'
import type { Session } from './session.ts'

const TICK_MS = 1000

export interface ShedderOptions {
  readonly clock: Clock
  readonly listeners: readonly Listener[]
  readonly router: Router
  readonly events: EventSink
}

export class Shedder {
  readonly #options: ShedderOptions
  readonly #sinceMs = new Map<string, number>()
  #timer: Timer | undefined

  constructor(options: ShedderOptions) {
    this.#options = options
  }

  start(): void {
    if (
      this.#options.listeners.every(({ config }) => config.shedMs === undefined || config.pool === 'leader')
    )
      return
    this.#timer = this.#options.clock.setTimer(TICK_MS, () => {
      for (const listener of this.#options.listeners) this.#look(listener)
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #look(listener: Listener): void {
    const { clock, router, events } = this.#options
    const { name, shedMs, pool } = listener.config
    if (shedMs === undefined || pool === 'leader') return
    const hasMembers = router.poolBackends(name).length > 0
    if (!hasMembers) this.#sinceMs.delete(name)
    const guests = hasMembers ? [...listener.sessions].filter(({ isFallback }) => isFallback) : []
    if (guests.length === 0) return
    const sinceMs = this.#sinceMs.get(name) ?? clock.monotonicMs()
    this.#sinceMs.set(name, sinceMs)
    const count = shareOf(guests.length, shedMs - (clock.monotonicMs() - sinceMs))
    const gone = guests.filter(({ isIdle }) => isIdle).slice(0, count)
    for (const session of gone) this.#end(session)
    if (gone.length > 0) {
      const says = `${gone.length} read sessions left the leader: listener ${name} has replicas again`
      events.record({ kind: 'shed', says, facts: { listener: name, sessions: gone.length } })
    }
  }

  #end(session: Session): void {
    session.shed('replicas take reads again: connect anew')
  }
}

/** How many of `guests` go in this tick, so that all have gone when `leftMs` are over. */
export function shareOf(guests: number, leftMs: number): number {
  if (leftMs <= TICK_MS) return guests
  return Math.ceil((guests * TICK_MS) / leftMs)
}
