// The first contact: before anything is known of etcd every configured member is asked which cluster it belongs to, so that
// nobody is believed only because he answered first.

import type { Clock, Timer } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import type { Attempts } from './attempt.ts'
import type { Belief, Met } from './belief.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import type { Patience } from './patience.ts'
import { positionOf, type Wire } from './wire.ts'

/** An answer that comes no later than this after the question still counts, and may change what is believed. */
const OPEN_MS = 10_000

export interface MeetingParts {
  readonly endpoints: Endpoints
  readonly wire: Wire
  readonly clock: Clock
  readonly attempts: Attempts
  readonly patience: Patience
  readonly belief: Belief
}

export class Meeting {
  readonly #parts: MeetingParts
  readonly #ended = new AbortController()
  #held: Promise<void> | undefined

  constructor(parts: MeetingParts) {
    this.#parts = parts
  }

  /**
   * Settles when every configured member has answered or failed, or has had the time for one attempt; at the deadline in any
   * case. Those who call at the same time share one meeting. Never rejects.
   */
  async attend(by: Deadline): Promise<void> {
    if (this.#parts.endpoints.configured.length < 2) return
    this.#held ??= this.#hold().finally(() => {
      this.#held = undefined
    })
    const held = this.#held
    await by.run('the first contact with etcd', () => held).catch(() => {})
  }

  /** Gives up what is under way. */
  close(): void {
    this.#ended.abort(new Error('closed'))
  }

  async #hold(): Promise<void> {
    const { belief, clock, endpoints, patience } = this.#parts
    const { configured } = endpoints
    const met = new Map<Endpoint, Met>()
    const open = Deadline.in(clock, OPEN_MS)
    let isOver = false
    const asked = configured.map(async endpoint => {
      const position = await this.#ask(endpoint, open)
      if (position === undefined || this.#ended.signal.aborted) return
      met.set(endpoint, { endpoint, position })
      if (isOver) belief.meet([...met.values()])
    })
    let timer: Timer | undefined
    const patient = new Promise<void>(resolve => {
      timer = clock.setTimer(patience.attemptMs(configured.length), resolve)
    })
    await Promise.race([Promise.all(asked), patient])
    timer?.cancel()
    isOver = true
    belief.meet([...met.values()])
  }

  async #ask(endpoint: Endpoint, by: Deadline) {
    const { attempts, wire } = this.#parts
    try {
      const { header } = await attempts.attempt(
        endpoint,
        'find the cluster',
        by,
        (rpc, call) => rpc.range({ key: wire.key('leader'), keysOnly: true }, call),
        { signal: this.#ended.signal },
      )
      return positionOf(header)
    } catch {
      // Counted where it happened; whoever is silent has no voice.
      return undefined
    }
  }
}
