// The one shape of things worth telling: log lines, metrics, REST answers, ctl and the status page are views of it.

import type { Epoch } from './epoch.ts'
import type { Json } from './json.ts'

export interface Event {
  /** Grows by one within a process. */
  readonly id: number
  readonly wallMs: number
  readonly monotonicMs: number
  /** Name of the member or proxy that tells. */
  readonly source: string
  readonly epoch: Epoch | undefined
  /** What happened, in kebab case; equals the rule's name where a rule decided it. */
  readonly kind: string
  readonly rule: string | undefined
  /** One sentence for people. */
  readonly says: string
  readonly facts: Readonly<Record<string, Json>>
}

/** What a teller knows; id and times are added where the event is recorded. */
export type EventDraft = Omit<
  Event,
  'id' | 'wallMs' | 'monotonicMs' | 'source' | 'rule' | 'epoch' | 'facts'
> &
  Partial<Pick<Event, 'rule' | 'epoch' | 'facts'>>
