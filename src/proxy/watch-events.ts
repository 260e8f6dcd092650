// Reads single facts out of the store's events. Pure.

import type { Epoch } from '../cluster/epoch.ts'
import { asBigint, asInteger, parseJsonObject } from '../cluster/json.ts'
import { parseTerm, TERM_KEY } from '../cluster/term.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { WatchEvent } from '../dcs/dcs.ts'

/** The end of an epoch, as an agent of ours announces it. */
export interface Closing {
  readonly createRevision: bigint
  /** How long its transactions get to finish; undefined: not told. */
  readonly drainMs: number | undefined
}

export function closingOf(value: string | undefined): Closing | undefined {
  const fields = value === undefined ? undefined : parseJsonObject(value)
  const createRevision = asBigint(fields?.['create_revision'])
  return createRevision === undefined
    ? undefined
    : { createRevision, drainMs: asInteger(fields?.['drain_ms']) }
}

export function keyOf(event: WatchEvent): string {
  return event.kind === 'put' ? event.kv.key : event.key
}

export function revisionOf(event: WatchEvent): bigint {
  return event.kind === 'put' ? event.kv.modRevision : event.revision
}

/** What the transaction that put the leader key says to continue. */
export function continuesOf(events: readonly WatchEvent[], taken: WatchEvent): bigint | undefined {
  const term = events.find(event => keyOf(event) === TERM_KEY && revisionOf(event) === revisionOf(taken))
  return term?.kind === 'put' ? parseTerm(term.kv.value)?.continues : undefined
}

/** The same, from a read of the whole scope. */
export function continuesIn({ leader, own }: ClusterView): bigint | undefined {
  const term = own.get('term')
  if (term === undefined || term.modRevision !== leader?.createRevision) return undefined
  return parseTerm(term.value)?.continues
}

/** Did the leader's member key vanish in the same revision as the leader key? Only the end of a lease does that. */
export function wentWithLease(
  events: readonly WatchEvent[],
  gone: WatchEvent,
  epoch: Epoch | undefined,
): boolean {
  const memberKey = `members/${epoch?.member ?? ''}`
  return events.some(
    event => event.kind === 'delete' && event.key === memberKey && event.revision === revisionOf(gone),
  )
}
