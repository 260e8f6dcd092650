// Reads of etcd for the documents that show it as it is now. However many callers ask, at most one read is under way.

import type { ClusterView } from '../cluster/view.ts'
import { Deadline } from '../platform/deadline.ts'
import type { SwitchoverParts } from './switchover.ts'

export class SharedRead {
  readonly #parts: Pick<SwitchoverParts, 'agent' | 'clock'>
  #running: Promise<ClusterView> | undefined
  /** Begins when the running one has ended. */
  #next: Promise<ClusterView> | undefined

  constructor(parts: Pick<SwitchoverParts, 'agent' | 'clock'>) {
    this.#parts = parts
  }

  /**
   * The cluster as it was read after this call, at most `retry_timeout` later. Rejects when etcd did not answer until then, or
   * with the reason of `signal`.
   */
  async view(signal: AbortSignal): Promise<ClusterView> {
    return await this.#by().run('reading etcd', () => this.#join(), signal)
  }

  /** What is under way may have begun before the caller wrote something, and must see it: such a read is not shared. */
  #join(): Promise<ClusterView> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#begin()
    const begin = () => {
      this.#next = undefined
      return this.#begin()
    }
    this.#next = this.#running.then(begin, begin)
    return this.#next
  }

  #begin(): Promise<ClusterView> {
    const read = this.#parts.agent.dcs.read(this.#by())
    const end = () => {
      if (this.#running === read) this.#running = undefined
    }
    this.#running = read
    read.then(end, end)
    return read
  }

  #by(): Deadline {
    const { agent, clock } = this.#parts
    return Deadline.in(clock, agent.status().config.retryTimeoutSeconds * 1000)
  }
}
