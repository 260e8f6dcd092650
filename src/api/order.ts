// What a POST /switchover or /failover asks for, and whether its words alone can be accepted. Pure.

import { asText, type JsonObject } from '../cluster/json.ts'
import type { FailoverRequest } from '../cluster/request.ts'
import { type Answer, text } from './answer.ts'
import { readSchedule } from './restart-order.ts'

/** A failover that names the leader is a switchover. */
export interface Order {
  readonly action: 'switchover' | 'failover'
  readonly request: FailoverRequest
}

export type Ordered = { readonly order: Order } | { readonly refusal: Answer }

/** Reads the body. `wallMs` judges a schedule; the texts are those that scripts look for. */
export function readOrder(
  endpoint: 'switchover' | 'failover',
  body: JsonObject,
  isPaused: boolean,
  wallMs: number,
): Ordered {
  const leader = nonEmpty(asText(body['leader']))
  const candidate = nonEmpty(asText(body['candidate'])) ?? nonEmpty(asText(body['member']))
  const scheduledAt = nonEmpty(asText(body['scheduled_at']))
  const action = endpoint === 'failover' && leader === undefined ? 'failover' : 'switchover'
  const missing = refuseMissing(endpoint, leader, candidate)
  if (missing !== undefined) return { refusal: missing }
  const schedule =
    scheduledAt === undefined ? undefined : readTime(action, endpoint, scheduledAt, isPaused, wallMs)
  if (schedule !== undefined && 'refusal' in schedule) return schedule
  const refusal = refuseNames(leader, candidate, isPaused)
  if (refusal !== undefined) return { refusal }
  return { order: { action, request: { leader, candidate, scheduledAt: schedule?.at.text } } }
}

function refuseMissing(
  endpoint: 'switchover' | 'failover',
  leader: string | undefined,
  candidate: string | undefined,
): Answer | undefined {
  if (endpoint === 'failover' && candidate === undefined) {
    return text(400, 'Failover could be performed only to a specific candidate')
  }
  if (endpoint === 'switchover' && leader === undefined) {
    return text(400, 'Switchover could be performed only from a specific leader')
  }
  return undefined
}

function refuseNames(
  leader: string | undefined,
  candidate: string | undefined,
  isPaused: boolean,
): Answer | undefined {
  if (candidate !== undefined && candidate === leader) {
    return text(400, 'Switchover target and source are the same')
  }
  if (isPaused && candidate === undefined) {
    return text(400, 'Switchover is possible only to a specific candidate in a paused state')
  }
  return undefined
}

function readTime(
  action: Order['action'],
  endpoint: string,
  scheduledAt: string,
  isPaused: boolean,
  wallMs: number,
): ReturnType<typeof readSchedule> {
  if (action === 'failover' || endpoint === 'failover')
    return { refusal: text(400, "Failover can't be scheduled") }
  if (isPaused) return { refusal: text(400, "Can't schedule switchover in the paused state") }
  return readSchedule(scheduledAt, 'switchover', wallMs)
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
