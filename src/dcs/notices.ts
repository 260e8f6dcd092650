// The bounded queue between a watch and its one reader. A reader that is too slow gets one `stale` in place of what
// it missed; memory never grows with its slowness.

import type { Notice, WatchEvent } from './dcs.ts'

/** Events that may wait for the reader. A burst beyond it is told as `stale`. */
export const PENDING_EVENTS_MAX = 4096

/** An async iterator that is filled from outside. Neighbouring events are handed over together. */
export class NoticeQueue implements AsyncIterableIterator<Notice> {
  readonly #onStop: () => void
  #pending: Notice[] = []
  #pendingEvents = 0
  #waiting: ((result: IteratorResult<Notice>) => void) | undefined
  #ended = false

  /** `onStop` is called when the reader leaves its loop. */
  constructor(onStop: () => void) {
    this.#onStop = onStop
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  push(notice: Notice): void {
    if (this.#ended) return
    if (this.#waiting !== undefined) {
      const deliver = this.#waiting
      this.#waiting = undefined
      deliver({ done: false, value: notice })
      return
    }
    if (notice.kind === 'stale') this.#replaceBy(notice)
    else this.#append(notice)
  }

  /** No further notices: the reader's loop ends after what is pending. */
  end(): void {
    this.#ended = true
    this.#pending = []
    this.#waiting?.({ done: true, value: undefined })
    this.#waiting = undefined
  }

  next(): Promise<IteratorResult<Notice>> {
    const notice = this.#pending.shift()
    if (notice !== undefined) {
      if (notice.kind === 'events') this.#pendingEvents -= notice.events.length
      return Promise.resolve({ done: false, value: notice })
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise(resolve => {
      this.#waiting = resolve
    })
  }

  return(): Promise<IteratorResult<Notice>> {
    this.end()
    this.#onStop()
    return Promise.resolve({ done: true, value: undefined })
  }

  /** What waited is covered by the full read that `stale` asks for. */
  #replaceBy(stale: Notice): void {
    this.#pending = [stale]
    this.#pendingEvents = 0
  }

  #append(notice: Extract<Notice, { kind: 'events' }>): void {
    this.#pendingEvents += notice.events.length
    if (this.#pendingEvents > PENDING_EVENTS_MAX) {
      this.#replaceBy({ kind: 'stale', why: `more than ${PENDING_EVENTS_MAX} events waited to be read` })
      return
    }
    const tail = this.#pending.at(-1)
    if (tail?.kind !== 'events') this.#pending.push(notice)
    else this.#pending[this.#pending.length - 1] = joined(tail.events, notice)
  }
}

function joined(before: readonly WatchEvent[], notice: Extract<Notice, { kind: 'events' }>): Notice {
  return { kind: 'events', position: notice.position, events: [...before, ...notice.events] }
}
