// The status document that a member's REST server sends with every health check, read tolerantly.
// Old agents say `master` and `wal`; fields of the wrong type count as absent.

import { asInteger, asText, isObject, parseJsonObject } from '../cluster/json.ts'
import type { Timeline } from '../cluster/lsn.ts'
import type { Tags } from '../cluster/member.ts'

/** What one member said about itself in one answer. */
export interface Answer {
  /** Monotonic time before the request left: deadlines count from here. */
  readonly sentAtMs: number
  readonly receivedAtMs: number
  readonly statusCode: number
  /** `primary`, `replica`, `standby_leader`, or the agent's internal role. */
  readonly role: string
  readonly state: string
  readonly timeline: Timeline | undefined
  readonly systemId: string | undefined
  readonly tags: Tags
  /** Milliseconds of leadership left by the member's own strict clock; only our own agents say this. */
  readonly leaseLeftMs: number | undefined
}

/** How one probe ended. `silent`: no usable answer came in time, which says nothing about the database. */
export type ProbeResult =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'silent'; readonly sentAtMs: number; readonly why: string }

/** When a probe was on its way. */
export interface ProbeTimes {
  readonly sentAtMs: number
  readonly receivedAtMs: number
}

/** Reads a health check's answer. A body that is no status document is silence: a stranger may listen there. */
export function readAnswer(statusCode: number, body: string, times: ProbeTimes): ProbeResult {
  const fields = parseJsonObject(body)
  const role = asText(fields?.['role'])
  const state = asText(fields?.['state'])
  if (fields === undefined || role === undefined || state === undefined) {
    return { kind: 'silent', sentAtMs: times.sentAtMs, why: `HTTP ${statusCode} without a status document` }
  }
  const tags = fields['tags']
  const own = fields['pgherd']
  return {
    kind: 'answer',
    answer: {
      ...times,
      statusCode,
      role: role === 'master' ? 'primary' : role,
      state,
      timeline: asInteger(fields['timeline']),
      systemId: asText(fields['database_system_identifier']),
      tags: isObject(tags) ? tags : {},
      leaseLeftMs: isObject(own) ? asInteger(own['lease_left_ms']) : undefined,
    },
  }
}
