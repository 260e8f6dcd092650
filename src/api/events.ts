// Events as documents, and calls as events. Pure.

import { printEpoch } from '../cluster/epoch.ts'
import type { Event, EventDraft } from '../cluster/event.ts'
import type { JsonObject } from '../cluster/json.ts'
import type { AuditRecord } from './actions.ts'

/** What `GET /pgherd/events` shows of one event. */
export function eventDocument(
  event: Pick<Event, 'id' | 'wallMs' | 'source' | 'kind' | 'says'> & Partial<Event>,
): JsonObject {
  const { id, wallMs, source, kind, says, rule, epoch, facts } = event
  return {
    id,
    time: new Date(wallMs).toISOString(),
    source,
    kind,
    ...(rule === undefined ? {} : { rule }),
    says,
    ...(epoch === undefined ? {} : { epoch: printEpoch(epoch) }),
    ...(facts === undefined ? {} : { facts }),
  }
}

/** Who changed what, from where, and what became of it: the audit line. */
export function auditEvent({ call, address, user, code, says }: AuditRecord): EventDraft {
  const who = user === undefined ? '' : ` as ${printable(user)}`
  return {
    kind: 'api-action',
    says: `${call} from ${address}${who}: ${code}${says === '' ? '' : ` ${printable(says)}`}`,
    facts: { call, address, user: user ?? null, code },
  }
}

/** A line of the log is one line, whatever a caller sent. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
}
