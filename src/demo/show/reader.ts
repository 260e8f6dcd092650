// Reads through all proxies in turn, one short session after the other, and remembers which server answered.

import { setTimeout as sleep } from 'node:timers/promises'
import { queryOnce, type SqlTarget } from '../sql.ts'

const EVERY_MS = 200
const PAUSE_AFTER_ERROR_MS = 100
const REMEMBERED = 24
const ANSWER_WITHIN_MS = 3_000
const WHO = 'SELECT host(inet_server_addr()) AS address'

/** A running reader. The counters can be read at any time. */
export class Reader {
  readonly #targets: readonly SqlTarget[]
  readonly #nameOf: (address: string) => string
  readonly #stopping = new AbortController()
  readonly #answers: string[] = []
  #running: Promise<void> = Promise.resolve()
  #reads = 0
  #failed = 0

  private constructor(targets: readonly SqlTarget[], nameOf: (address: string) => string) {
    this.#targets = targets
    this.#nameOf = nameOf
  }

  /** Starts reading at once; `nameOf` tells which server has an address. */
  static start(targets: readonly SqlTarget[], nameOf: (address: string) => string): Reader {
    const reader = new Reader(targets, nameOf)
    reader.#running = reader.#loop()
    return reader
  }

  /** The servers of the latest answers, oldest first. */
  get answers(): readonly string[] {
    return this.#answers
  }

  get reads(): number {
    return this.#reads
  }

  get failed(): number {
    return this.#failed
  }

  /** Ends after the read under way. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping
    for (let turn = 0; !signal.aborted; turn += 1) {
      const target = this.#targets[turn % this.#targets.length]
      if (target === undefined) return
      const isRead = await this.#read(target)
      await sleep(isRead ? EVERY_MS : PAUSE_AFTER_ERROR_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #read(target: SqlTarget): Promise<boolean> {
    try {
      const [row] = await queryOnce<{ address: string }>(target, WHO, [], ANSWER_WITHIN_MS)
      this.#reads += 1
      this.#answers.push(this.#nameOf(row?.address ?? ''))
      if (this.#answers.length > REMEMBERED) this.#answers.shift()
      return true
    } catch {
      this.#failed += 1
      return false
    }
  }
}
