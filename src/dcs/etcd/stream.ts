// One watch stream at one member: opened, confirmed, listened to, checked for life, closed. Restarting is the
// watcher's business (watcher.ts).

import type { IDuplexStream, IWatchRequest, IWatchResponse } from 'etcd3'
import type { Position } from '../../cluster/view.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { WatchEvent } from '../dcs.ts'
import { callOptions } from './client.ts'
import type { Endpoint } from './endpoints.ts'
import { faultOf } from './faults.ts'
import { positionOf, type Wire } from './wire.ts'

/** How a stream ended. `compactRevision` is set when the history it wanted is no longer there. */
export interface StreamEnd {
  readonly why: string
  readonly compactRevision: bigint | undefined
  /** The member is to blame, not we or the history. */
  readonly isFailure: boolean
}

/** What a stream tells. `onEnd` comes exactly once, and nothing after it. */
export interface StreamHandlers {
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

type Duplex = IDuplexStream<IWatchRequest, IWatchResponse>

export class WatchStream {
  readonly endpoint: Endpoint
  readonly #parts: StreamParts
  readonly #handlers: StreamHandlers
  readonly #cancel = new AbortController()
  #duplex: Duplex | undefined
  #timer: Timer
  #isCreated = false
  #isEnded = false

  constructor(parts: StreamParts, handlers: StreamHandlers) {
    this.#parts = parts
    this.#handlers = handlers
    this.endpoint = parts.endpoint
    this.#timer = this.#endAfter(parts.answerMs, 'did not open')
    this.#open().catch((error: unknown) => this.#fail(faultOf(error, parts.endpoint.name).detail))
  }

  /** Asks for a sign of life now; without one the stream ends. */
  probe(): void {
    if (this.#isEnded || !this.#isCreated || this.#duplex === undefined) return
    this.#duplex.write({ progress_request: {} })
    this.#timer.cancel()
    this.#timer = this.#endAfter(this.#parts.answerMs, 'is silent')
  }

  /** Ends the stream; `onEnd` is told. */
  close(why: string): void {
    this.#end({ why, compactRevision: undefined, isFailure: false })
  }

  async #open(): Promise<void> {
    const client = await this.#parts.endpoint.client()
    const duplex = await client.watchClient.watch(callOptions(this.#cancel.signal))
    duplex.on('data', response => this.#onData(response))
    duplex.on('error', error => this.#fail(faultOf(error, this.#parts.endpoint.name).detail))
    duplex.on('end', () => this.#fail('was closed by the member'))
    this.#duplex = duplex
    if (this.#isEnded) {
      duplex.cancel()
      return
    }
    const from = this.#parts.from
    duplex.write({
      create_request: {
        ...this.#parts.wire.range,
        progress_notify: true,
        ...(from === undefined ? {} : { start_revision: from.toString() }),
      },
    })
  }

  #onData(response: IWatchResponse): void {
    if (this.#isEnded) return
    if (response.canceled) {
      const compactRevision = BigInt(response.compact_revision)
      const reason = response.cancel_reason === '' ? 'canceled by etcd' : response.cancel_reason
      const why = compactRevision > 0n ? `asks for history compacted at ${compactRevision}` : reason
      if (compactRevision > 0n) this.#end({ why, compactRevision, isFailure: false })
      else this.#fail(why)
      return
    }
    this.#timer.cancel()
    this.#timer = this.#parts.clock.setTimer(this.#parts.silenceMs, () => this.probe())
    this.#handlers.onAlive()
    const position = positionOf(response.header)
    if (response.created) {
      this.#isCreated = true
      this.#handlers.onCreated(position)
    }
    if (response.events.length > 0 && !this.#isEnded) {
      this.#handlers.onEvents(position, this.#parts.wire.events(response))
    }
  }

  #endAfter(delayMs: number, why: string): Timer {
    return this.#parts.clock.setTimer(delayMs, () => this.#fail(why))
  }

  #fail(why: string): void {
    this.#end({ why, compactRevision: undefined, isFailure: true })
  }

  #end(end: StreamEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#timer.cancel()
    this.#cancel.abort()
    this.#duplex?.cancel()
    this.#handlers.onEnd(end)
  }
}
