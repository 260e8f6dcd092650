// When the leader key was seen to go and to come, by a watch of the test's own on the store, and when the lease that it hung on
// can have ended: the store takes the key away half a second after that, or later.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Dcs } from '../../src/dcs/dcs.ts'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import type { Cluster } from '../../src/demo/cluster.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { type LeaseLook, latestEndMs } from './lease-end.ts'

const LOOK_EVERY_MS = 50
const ANSWERS_WITHIN_MS = 1_000
/** Those of some seconds: what matters is seen around the last second of a lease. */
const LOOKS_MAX = 200

/** A time in which nobody held the leader key. Monotonic milliseconds; open while nobody has taken it. */
export interface Vacancy {
  readonly fromMs: number
  untilMs: number
  /** When the lease of the last holder can have ended at the latest; undefined when the store was never asked about it. */
  readonly leaseEndMs: number | undefined
}

/** Follows the leader key until `stop`. An event is noted some milliseconds after it happened. */
export class KeyWatch {
  readonly vacancies: Vacancy[] = []
  readonly #dcs: Dcs
  readonly #stopping = new AbortController()
  readonly #running: Promise<unknown>
  #leaseId: bigint | undefined
  #looks: LeaseLook[] = []

  constructor(cluster: Cluster) {
    this.#dcs = createEtcdDcs({
      endpoints: cluster.etcd.endpoints,
      namespace: '/service',
      scope: cluster.scope,
      clock: realClock,
      logger: silentLogger,
    })
    this.#running = Promise.all([this.#follow(), this.#askForLease()])
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
        if (event.kind === 'put' && event.kv.key === 'leader') this.#taken(nowMs, event.kv.leaseId)
      }
    }
  }

  async #askForLease(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      // An answer that does not come tells nothing.
      await this.#look().catch(() => {})
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #look(): Promise<void> {
    const by = () => Deadline.in(realClock, ANSWERS_WITHIN_MS)
    if (this.#leaseId === undefined) this.#hangsOn((await this.#dcs.read(by())).leader?.leaseId)
    const leaseId = this.#leaseId
    if (leaseId === undefined) return
    const { leftSeconds, sentAtMs } = await this.#dcs.leaseLeft(leaseId, by())
    if (leftSeconds === undefined || leaseId !== this.#leaseId) return
    this.#looks.push({ askedMs: sentAtMs, answeredMs: performance.now(), leftSeconds })
    if (this.#looks.length > LOOKS_MAX) this.#looks.shift()
  }

  #hangsOn(leaseId: bigint | undefined): void {
    if (leaseId === this.#leaseId) return
    this.#leaseId = leaseId
    this.#looks = []
  }

  #gone(nowMs: number): void {
    const isOpen = this.vacancies.at(-1)?.untilMs === Number.POSITIVE_INFINITY
    if (isOpen) return
    this.vacancies.push({
      fromMs: nowMs,
      untilMs: Number.POSITIVE_INFINITY,
      leaseEndMs: latestEndMs(this.#looks),
    })
  }

  #taken(nowMs: number, leaseId: bigint): void {
    this.#hangsOn(leaseId)
    const last = this.vacancies.at(-1)
    if (last?.untilMs === Number.POSITIVE_INFINITY) last.untilMs = nowMs
  }
}
