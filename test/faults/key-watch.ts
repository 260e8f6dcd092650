// When the leader key was seen to go and to come, by a watch of the test's own on the store.

import type { Dcs } from '../../src/dcs/dcs.ts'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import type { Cluster } from '../../src/demo/cluster.ts'
import { realClock } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'

/** A time in which nobody held the leader key. Monotonic milliseconds; open while nobody has taken it. */
export interface Vacancy {
  readonly fromMs: number
  untilMs: number
}

/** Follows the leader key until `stop`. An event is noted some milliseconds after it happened. */
export class KeyWatch {
  readonly vacancies: Vacancy[] = []
  readonly #dcs: Dcs
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>

  constructor(cluster: Cluster) {
    this.#dcs = createEtcdDcs({
      endpoints: cluster.etcd.endpoints,
      namespace: '/service',
      scope: cluster.scope,
      clock: realClock,
      logger: silentLogger,
    })
    this.#running = this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('enough seen'))
    await this.#running
    await this.#dcs.close()
  }

  async #follow(): Promise<void> {
    for await (const notice of this.#dcs.watch({ streams: 2, signal: this.#stopping.signal })) {
      if (notice.kind !== 'events') continue
      const nowMs = performance.now()
      for (const event of notice.events) {
        if (event.kind === 'delete' && event.key === 'leader') this.#gone(nowMs)
        if (event.kind === 'put' && event.kv.key === 'leader') this.#taken(nowMs)
      }
    }
  }

  #gone(nowMs: number): void {
    const isOpen = this.vacancies.at(-1)?.untilMs === Number.POSITIVE_INFINITY
    if (!isOpen) this.vacancies.push({ fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY })
  }

  #taken(nowMs: number): void {
    const last = this.vacancies.at(-1)
    if (last?.untilMs === Number.POSITIVE_INFINITY) last.untilMs = nowMs
  }
}
