// What a POST /restart asks for, and whether its words can be accepted. Pure.

import { printInstant } from '../cluster/instant.ts'
import { asText, type Json, type JsonObject } from '../cluster/json.ts'
import { readOperatorTime } from '../cluster/operator-time.ts'
import { type RestartConditions, unconditionalRestart, versionNumber } from '../cluster/restart.ts'
import { readBoolean, readSeconds } from '../config/agent/units.ts'
import { type Answer, text } from './answer.ts'

/** `at` undefined: now. */
export interface RestartOrder {
  readonly conditions: RestartConditions
  readonly at: { readonly text: string; readonly wallMs: number } | undefined
}

export type RestartOrdered = { readonly order: RestartOrder } | { readonly refusal: Answer }

const ROLES = ['primary', 'standby_leader', 'replica'] as const

/** Reads the body; the first mistake in it is told. `wallMs` judges a schedule. */
export function readRestartOrder(body: JsonObject, isPaused: boolean, wallMs: number): RestartOrdered {
  if (isPaused && 'schedule' in body) {
    return { refusal: text(500, "Can't schedule restart in the paused state") }
  }
  let order: RestartOrder = { conditions: unconditionalRestart, at: undefined }
  for (const [key, value] of Object.entries(body)) {
    const read = readWord(order, key, value, wallMs)
    if ('refusal' in read) return read
    order = read.order
  }
  return { order }
}

function readWord(order: RestartOrder, key: string, value: Json, wallMs: number): RestartOrdered {
  const conditions = (more: Partial<RestartConditions>): RestartOrdered => ({
    order: { ...order, conditions: { ...order.conditions, ...more } },
  })
  switch (key) {
    case 'schedule': {
      const read = readSchedule(value, 'restart', wallMs)
      return 'refusal' in read ? read : { order: { ...order, at: read.at } }
    }
    case 'role': {
      const role = ROLES.find(known => known === value)
      return role === undefined
        ? refuse(400, 'PostgreSQL role should be either primary, standby_leader, or replica')
        : conditions({ role })
    }
    case 'postgres_version': {
      const version = String(value)
      const number = versionNumber(version)
      return typeof number === 'number'
        ? conditions({ olderThan: { text: version, number } })
        : refuse(400, number.refusal)
    }
    case 'timeout': {
      const seconds = readSeconds(value)
      return seconds === undefined || seconds <= 0
        ? refuse(400, 'Timeout should be a positive number of seconds')
        : conditions({ timeoutSeconds: seconds })
    }
    case 'restart_pending':
      return conditions({ isPendingOnly: readBoolean(value) ?? false })
    default:
      return refuse(400, `Unknown filter for the scheduled restart: ${key}`)
  }
}

/** The time of a scheduled action, as it goes into etcd; the texts are those that scripts look for. */
export function readSchedule(
  value: Json,
  action: string,
  wallMs: number,
): { readonly at: { readonly text: string; readonly wallMs: number } } | { readonly refusal: Answer } {
  const written = asText(value)
  const instant = written === undefined ? undefined : readOperatorTime(written, wallMs)
  if (written === undefined || instant === undefined) {
    return refuse(
      422,
      'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
    )
  }
  if (instant.zoneMinutes === undefined) {
    return refuse(400, `Timezone information is mandatory for the scheduled ${action}`)
  }
  if (instant.epochMs < wallMs) return refuse(422, `Cannot schedule ${action} in the past`)
  return { at: { text: printInstant(instant.epochMs, instant.zoneMinutes), wallMs: instant.epochMs } }
}

function refuse(code: number, sentence: string): { readonly refusal: Answer } {
  return { refusal: text(code, sentence) }
}
