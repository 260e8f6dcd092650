// What a restart is asked for with: conditions, a time limit, a time. Shared by the REST server, which reads it, the agent,
// which carries it out, and the member key, which tells others of a scheduled one.

import type { JsonObject } from './json.ts'

/** Conditions that must all hold when the restart begins; what is undefined does not count. */
export interface RestartConditions {
  readonly role: 'primary' | 'standby_leader' | 'replica' | undefined
  /** Only a server older than this, in the form of the setting server_version_num. */
  readonly olderThan: { readonly text: string; readonly number: number } | undefined
  readonly isPendingOnly: boolean
  /** How long the start may take. */
  readonly timeoutSeconds: number | undefined
}

export const unconditionalRestart: RestartConditions = {
  role: undefined,
  olderThan: undefined,
  isPendingOnly: false,
  timeoutSeconds: undefined,
}

/** A restart that waits for its time. It is void when the server was restarted in the meantime. */
export interface ScheduledRestart {
  readonly conditions: RestartConditions
  /** ISO 8601 with zone. */
  readonly at: string
  readonly atWallMs: number
  /** Of the server that shall be restarted. */
  readonly postmasterStartTime: string | undefined
}

/** What the conditions are judged by. */
export interface RestartFacts {
  readonly role: string
  readonly serverVersion: number | undefined
  readonly isRestartPending: boolean
}

/** Why the restart must not be; undefined when all conditions hold. */
export function unmetCondition(conditions: RestartConditions, facts: RestartFacts): string | undefined {
  const { role, olderThan, isPendingOnly } = conditions
  if (role !== undefined && role !== facts.role) return 'host role mismatch'
  if (olderThan !== undefined && (facts.serverVersion ?? 0) >= olderThan.number) {
    return 'postgres version mismatch'
  }
  return isPendingOnly && !facts.isRestartPending ? 'pending restart flag is not set' : undefined
}

/** The fields of the member key; `/patroni` shows them without the start time. */
export function printScheduledRestart(restart: ScheduledRestart, withStartTime: boolean): JsonObject {
  const { conditions, at, postmasterStartTime } = restart
  const { role, olderThan, isPendingOnly, timeoutSeconds } = conditions
  return {
    schedule: at,
    ...(role === undefined ? {} : { role }),
    ...(olderThan === undefined ? {} : { postgres_version: olderThan.text }),
    ...(isPendingOnly ? { restart_pending: true } : {}),
    ...(timeoutSeconds === undefined ? {} : { timeout: timeoutSeconds }),
    ...(withStartTime && postmasterStartTime !== undefined
      ? { postmaster_start_time: postmasterStartTime }
      : {}),
  }
}

/**
 * `10.1` or `9.6.3` as the number that PostgreSQL gives itself (100001, 90603). A sentence when it is none.
 */
export function versionNumber(text: string): number | { readonly refusal: string } {
  const parts = text.split('.')
  if (!parts.every(part => /^\d{1,4}$/.test(part.trim()))) {
    return { refusal: `Invalid PostgreSQL version: ${text}` }
  }
  const numbers = parts.map(Number)
  const [major = 0, second = 0, third = 0] = numbers
  const isWhole = numbers.length === 3 || (numbers.length === 2 && major >= 10)
  if (!isWhole) {
    return { refusal: `Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ${text}` }
  }
  return numbers.length === 3 ? major * 10_000 + second * 100 + third : major * 10_000 + second
}

/** `15.8` of 150008, `9.6.3` of 90603. */
export function versionText(number: number): string {
  const major = Math.floor(number / 10_000)
  return major >= 10
    ? `${major}.${number % 10_000}`
    : `${major}.${Math.floor(number / 100) % 100}.${number % 100}`
}
