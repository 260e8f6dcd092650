// A request for a switchover or a manual failover, as the `failover` key carries it.

import { asText, parseJsonObject, printJson } from './json.ts'

/** `leader` named: switchover; only `candidate`: manual failover. */
export interface FailoverRequest {
  readonly leader: string | undefined
  readonly candidate: string | undefined
  /** ISO 8601 with zone; undefined means at once. */
  readonly scheduledAt: string | undefined
}

/** The value that means "nothing requested": the key is emptied, never deleted. */
export const emptyRequest = '{}'

/** Reads the `failover` key, JSON or the old `leader:member` text; undefined when nothing is requested. */
export function parseRequest(value: string): FailoverRequest | undefined {
  const fields = parseJsonObject(value)
  if (fields === undefined) return parseLegacy(value)
  const request = {
    leader: nonEmpty(asText(fields['leader'])),
    candidate: nonEmpty(asText(fields['member'])),
    scheduledAt: nonEmpty(asText(fields['scheduled_at'])),
  }
  return request.leader === undefined && request.candidate === undefined ? undefined : request
}

export function printRequest(request: FailoverRequest): string {
  return printJson({
    ...(request.leader === undefined ? {} : { leader: request.leader }),
    ...(request.candidate === undefined ? {} : { member: request.candidate }),
    ...(request.scheduledAt === undefined ? {} : { scheduled_at: request.scheduledAt }),
  })
}

function parseLegacy(value: string): FailoverRequest | undefined {
  const match = /^([^:{}"]*):([^:{}"]*)$/.exec(value)
  if (match === null) return undefined
  const leader = nonEmpty(match[1]?.trim())
  const candidate = nonEmpty(match[2]?.trim())
  if (leader === undefined && candidate === undefined) return undefined
  return { leader, candidate, scheduledAt: undefined }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
