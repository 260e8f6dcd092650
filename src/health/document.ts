// The status document that a member's REST server sends with every health check, read tolerantly.
// Old agents say `master` and `wal`; fields of the wrong type count as absent.

import { asBigint, asInteger, asText, isObject, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
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
  /** A primary's write position. */
  readonly location: Lsn | undefined
  /** How far a standby has replayed: what its readers see. */
  readonly replayed: Lsn | undefined
  /** `streaming`, `in archive recovery`; undefined: not told. */
  readonly replicationState: string | undefined
  /** Does it confirm commits, alone or as one of a quorum, by its own word? */
  readonly isSync: boolean
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
  const answer = readDocument(statusCode, body, times)
  if (answer !== undefined) return { kind: 'answer', answer }
  return { kind: 'silent', sentAtMs: times.sentAtMs, why: `HTTP ${statusCode} without a status document` }
}

/**
 * Reads the answer to a check whose code alone may be all there is: without a document the server's role is `unknown`
 * and it counts as running.
 */
export function readCheckAnswer(statusCode: number, body: string, times: ProbeTimes): ProbeResult {
  const answer = readDocument(statusCode, body, times)
  return { kind: 'answer', answer: answer ?? { ...times, statusCode, ...nothingSaid } }
}

const nothingSaid = {
  role: 'unknown',
  state: 'running',
  timeline: undefined,
  systemId: undefined,
  tags: {},
  leaseLeftMs: undefined,
  location: undefined,
  replayed: undefined,
  replicationState: undefined,
  isSync: false,
} as const

function readDocument(statusCode: number, body: string, times: ProbeTimes): Answer | undefined {
  const fields = parseJsonObject(body)
  const role = asText(fields?.['role'])
  const state = asText(fields?.['state'])
  if (fields === undefined || role === undefined || state === undefined) return undefined
  const positions = objectAt(fields, 'xlog') ?? objectAt(fields, 'wal') ?? {}
  return {
    ...times,
    statusCode,
    role: role === 'master' ? 'primary' : role,
    state,
    timeline: asInteger(fields['timeline']),
    systemId: asText(fields['database_system_identifier']),
    tags: objectAt(fields, 'tags') ?? {},
    leaseLeftMs: asInteger(objectAt(fields, 'pgherd')?.['lease_left_ms']),
    location: asBigint(positions['location']),
    replayed: asBigint(positions['replayed_location']),
    replicationState: asText(fields['replication_state']),
    isSync: fields['sync_standby'] === true || fields['quorum_standby'] === true,
  }
}

function objectAt(fields: JsonObject, key: string): JsonObject | undefined {
  const value = fields[key]
  return isObject(value) ? value : undefined
}
