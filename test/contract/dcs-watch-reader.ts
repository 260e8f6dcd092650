// Reads a watch in the background and keeps what it told, so that a test can wait for it and look at it.

import type { Dcs, Notice, WatchEvent } from '../../src/dcs/dcs.ts'

/** One event, flattened for comparisons. */
export interface SeenEvent {
  readonly kind: 'put' | 'delete'
  readonly key: string
  readonly revision: bigint
  readonly value?: string
  readonly leaseId?: bigint
}

const WAIT_MS = 15_000

export class WatchReader {
  /** Settles when the loop over the notices is over. */
  readonly over: Promise<void>
  /** The reasons of all `stale` notices, the first included. */
  readonly stale: string[] = []
  readonly seen: SeenEvent[] = []
  /** Real monotonic time at which each event of `seen` came. */
  readonly seenAtMs: number[] = []
  readonly #ended = new AbortController()
  #wake: () => void = () => {}

  constructor(dcs: Dcs, streams: 1 | 2) {
    this.over = this.#read(dcs.watch({ streams, signal: this.#ended.signal }))
  }

  /** Waits for the first `stale`. */
  begun(): Promise<void> {
    return this.until(() => this.stale.length > 0, 'the watch to begin')
  }

  /** Waits until `count` events came and returns the first `count`. */
  async events(count: number): Promise<readonly SeenEvent[]> {
    await this.until(() => this.seen.length >= count, `${count} events`)
    return this.seen.slice(0, count)
  }

  async until(isTrue: () => boolean, what: string, waitMs: number = WAIT_MS): Promise<void> {
    const untilMs = performance.now() + waitMs
    while (!isTrue()) {
      const leftMs = untilMs - performance.now()
      if (leftMs <= 0) {
        throw new Error(`waited ${waitMs} ms for ${what}; ${this.seen.length} events, stale: ${this.stale}`)
      }
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.over
  }

  async #read(notices: AsyncIterable<Notice>): Promise<void> {
    for await (const notice of notices) {
      if (notice.kind === 'stale') this.stale.push(notice.why)
      else for (const event of notice.events) this.#keep(event)
      this.#wake()
    }
  }

  #keep(event: WatchEvent): void {
    this.seenAtMs.push(performance.now())
    if (event.kind === 'delete') {
      this.seen.push(event)
      return
    }
    const { key, value, leaseId, modRevision: revision } = event.kv
    this.seen.push({ kind: 'put', key, value, leaseId, revision })
  }
}
