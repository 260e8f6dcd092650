// One watch stream at one member: opened, confirmed, listened to, checked for life, closed. Restarting is the
// watcher's business (watcher.ts).

import type { Position } from '../../cluster/view.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { WatchEvent } from '../dcs.ts'
import type { Endpoint } from './endpoints.ts'
import { faultOf } from './faults.ts'
import type { WatchConnection, WatchMessage } from './rpc.ts'
import { positionOf, type Wire } from './wire.ts'

/** A timer that is later than this tells of us, not of the member; what lies in the socket then is read in this time. */
const LATE_MS = 100
const AGAIN_MS = 250

/** How a stream ended. `compactRevision` is set when the history it wanted is no longer there. */
export interface StreamEnd {
  readonly why: string
  readonly compactRevision: bigint | undefined
  /** The member is to blame, not we or the history. */
  readonly isFailure: boolean
}

/** What a stream tells. `onEnd` comes exactly once, and nothing after it. */
export interface StreamHandlers {
  /** Asked of every message: why it must not be believed, if so. Then the stream ends. */
  doubt(position: Position): string | undefined
  onCreated(position: Position): void
  onEvents(position: Position, events: readonly WatchEvent[]): void
  onAlive(): void
  onEnd(end: StreamEnd): void
}

export interface StreamParts {
  readonly clock: Clock
  readonly wire: Wire
  readonly endpoint: Endpoint
  /** First revision wanted; undefined means from now on. */
  readonly from: bigint | undefined
  /** Time to open, and to answer a question for a sign of life. */
  readonly answerMs: number
  /** Silence after which that question is asked. */
  readonly silenceMs: number
}

export class WatchStream {
  readonly endpoint: Endpoint
  readonly #parts: StreamParts
  readonly #handlers: StreamHandlers
  readonly #cancel = new AbortController()
  #connection: WatchConnection | undefined
  #timer: Timer
  #isCreated = false
  #isAsked = false
  #isEnded = false

  constructor(parts: StreamParts, handlers: StreamHandlers) {
    this.#parts = parts
    this.#handlers = handlers
    this.endpoint = parts.endpoint
    this.#timer = this.#endAfter(parts.answerMs, 'did not open')
    this.#open().catch((error: unknown) => this.#fail(faultOf(error, parts.endpoint.name).detail))
  }

  /** Asks for a sign of life now; without one the stream ends. A question that is open already keeps its deadline. */
  probe(): void {
    if (this.#isEnded || !this.#isCreated || this.#connection === undefined || this.#isAsked) return
    this.#isAsked = true
    this.#connection.askForLife()
    this.#timer.cancel()
    this.#timer = this.#endAfter(this.#parts.answerMs, 'is silent')
  }

  /** Ends the stream; `onEnd` is told. */
  close(why: string): void {
    this.#end({ why, compactRevision: undefined, isFailure: false })
  }

  async #open(): Promise<void> {
    const { endpoint, from, wire } = this.#parts
    const handlers = {
      onMessage: (message: WatchMessage) => this.#onMessage(message),
      onError: (error: unknown) => this.#fail(faultOf(error, endpoint.name).detail),
      onEnd: () => this.#fail('was closed by the member'),
    }
    const connection = await endpoint.call(
      (rpc, call) => rpc.watch({ ...wire.range, from }, handlers, call),
      this.#cancel.signal,
    )
    this.#connection = connection
    if (this.#isEnded) connection.cancel()
  }

  #onMessage({ header, isCreated, canceled, events }: WatchMessage): void {
    if (this.#isEnded) return
    if (canceled !== undefined) {
      this.#onCanceled(canceled)
      return
    }
    const { clock, endpoint, silenceMs, wire } = this.#parts
    const position = positionOf(header)
    const doubt = this.#handlers.doubt(position)
    if (doubt !== undefined) {
      this.#fail(doubt)
      return
    }
    endpoint.clusterId = header.clusterId
    endpoint.memberId = header.memberId
    this.#isAsked = false
    this.#timer.cancel()
    this.#timer = clock.setTimer(silenceMs, () => this.probe())
    this.#handlers.onAlive()
    if (isCreated) {
      this.#isCreated = true
      this.#handlers.onCreated(position)
    }
    if (events.length > 0 && !this.#isEnded) {
      this.#handlers.onEvents(
        position,
        events.map(event => wire.event(event)),
      )
    }
  }

  #onCanceled({ reason, compactRevision }: NonNullable<WatchMessage['canceled']>): void {
    if (compactRevision > 0n) {
      const why = `asks for history compacted at ${compactRevision}`
      this.#end({ why, compactRevision, isFailure: false })
      return
    }
    // Some versions say "permission denied" to a token that they do not know.
    if (/permission denied|user name is empty|auth/.test(reason)) this.#parts.endpoint.doubtToken()
    this.#fail(reason === '' ? 'canceled by etcd' : reason)
  }

  #endAfter(delayMs: number, why: string): Timer {
    const { clock } = this.#parts
    const dueMs = clock.monotonicMs() + delayMs
    return clock.setTimer(delayMs, () => {
      // A timer that comes late says that this process stood still: timers run before sockets are read.
      if (clock.monotonicMs() - dueMs > LATE_MS) this.#timer = this.#endAfter(AGAIN_MS, why)
      else this.#fail(why)
    })
  }

  #fail(why: string): void {
    this.#end({ why, compactRevision: undefined, isFailure: true })
  }

  #end(end: StreamEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#timer.cancel()
    this.#cancel.abort()
    this.#connection?.cancel()
    this.#handlers.onEnd(end)
  }
}
