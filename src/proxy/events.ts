// What the proxy tells: each event is kept, and is one log line.

import type { Event, EventDraft } from '../cluster/event.ts'
import type { Clock } from '../platform/clock.ts'
import { EventLog } from '../platform/event-log.ts'
import type { Logger } from '../platform/log.ts'

/** Where parts of the proxy tell what happened. */
export interface EventSink {
  record(draft: EventDraft): void
}

/** Events that an operator may have to act on. */
const WARNINGS: ReadonlySet<string> = new Set([
  'store-restored',
  'store-silent',
  'limit-reached',
  'host-slept',
  'local-failure',
  'two-leaders',
  'thread-died',
  'thread-deaf',
])

export interface ProxyEventsOptions {
  readonly clock: Clock
  readonly log: Logger
  /** The proxy's name. */
  readonly source: string
  readonly file: string | undefined
}

export class ProxyEvents implements EventSink {
  readonly #log: Logger
  readonly #events: EventLog<Omit<Event, 'id' | 'wallMs' | 'monotonicMs' | 'source'>>

  constructor({ clock, log, source, file }: ProxyEventsOptions) {
    this.#log = log
    this.#events = new EventLog({ clock, source, ...(file === undefined ? {} : { file }) })
  }

  /** Keeps the event and logs its sentence. */
  record(draft: EventDraft): void {
    const { kind, says } = this.#events.record({ rule: undefined, epoch: undefined, facts: {}, ...draft })
    this.#log[WARNINGS.has(kind) ? 'warning' : 'info'](says, { event: kind })
  }

  /** The newest events, oldest first. */
  last(count: number): readonly Event[] {
    return this.#events.last(count)
  }
}
