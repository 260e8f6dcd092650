// When an etcd member last renewed a lease, by the member's own counter and not by the word of who asked for it.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdMember } from '../../src/demo/etcd.ts'

const COUNTER = /^etcd_debugging_lease_renewed_total (\S+)$/m
const EVERY_MS = 20

/** Follows the counter of a single-member store until `stop`. */
export class Renewals {
  readonly #member: EtcdMember
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #latestMs: number | undefined

  constructor(member: EtcdMember) {
    this.#member = member
    this.#running = this.#follow()
  }

  /**
   * Monotonic milliseconds before which the last renewal was seen to have happened, at most one look (20 ms) late and
   * never early by more than the look took. Throws when none was seen.
   */
  get latestMs(): number {
    if (this.#latestMs === undefined) throw new Error(`${this.#member.name} renewed no lease`)
    return this.#latestMs
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopping
    let known: string | undefined
    while (!signal.aborted) {
      const text = await this.#metrics().catch(() => undefined)
      const count = text === undefined ? undefined : COUNTER.exec(text)?.[1]
      if (count !== undefined && known !== undefined && count !== known) this.#latestMs = performance.now()
      known = count ?? known
      await sleep(EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #metrics(): Promise<string> {
    const { signal } = this.#stopping
    const response = await fetch(`http://${this.#member.endpoint}/metrics`, { signal })
    return response.text()
  }
}
