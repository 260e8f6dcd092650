// Feeds the router from a file: its servers are the members, its checks say who leads.

import { printJson } from '../cluster/json.ts'
import { type Member, parseMember } from '../cluster/member.ts'
import type { ServerOptions } from '../config/proxy/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { EventSink } from './events.ts'
import type { Router } from './router.ts'
import type { Source } from './source.ts'
import { electByChecks } from './static-leader.ts'

export interface StaticSourceOptions {
  readonly clock: Clock
  readonly router: Router
  readonly events: EventSink
  /** All servers of the file, one for each address. */
  readonly servers: readonly ServerOptions[]
  /** Names of those whose checks say who leads, in the order of the file. */
  readonly leaders: readonly string[]
}

export class StaticSource implements Source {
  readonly #options: StaticSourceOptions
  readonly #members: readonly Member[]
  #rivals = ''

  constructor(options: StaticSourceOptions) {
    this.#options = options
    this.#members = options.servers.map(toMember)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { router } = this.#options
    router.applyAnswers({ next: router.leadership, change: 'none' }, this.#members)
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  refresh(): void {}

  onProbe(): void {
    const { router, clock, leaders } = this.#options
    const nowMs = clock.monotonicMs()
    const { believed, rivals } = electByChecks(router.leadership, router.health, leaders, nowMs)
    this.#tellRivals(rivals)
    if (believed.change !== 'none') router.applyAnswers(believed, this.#members)
  }

  silentMs(): number | undefined {
    return undefined
  }

  /** Once for each set of rivals: an alarm, since only one of them can be right. */
  #tellRivals(rivals: readonly string[]): void {
    const now = rivals.join(', ')
    if (now === this.#rivals) return
    this.#rivals = now
    if (rivals.length === 0) return
    const { router, events } = this.#options
    const present = router.leadership.hasKey ? router.leadership.epoch?.member : undefined
    const says =
      present === undefined
        ? `${now} answer as leaders at the same time: nobody gets write sessions`
        : `${now} answers as the leader, too: write sessions stay on ${present}`
    events.record({ kind: 'two-leaders', says, facts: { rivals: [...rivals] } })
  }
}

function toMember({ name, address: { host, port } }: ServerOptions): Member {
  const bracketed = host.includes(':') ? `[${host}]` : host
  return parseMember(name, printJson({ conn_url: `postgres://${bracketed}:${port}/postgres` }), 0n)
}
