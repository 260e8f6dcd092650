// POST /failsafe: a leader that has lost etcd asks whether we accept it for another ttl.

import { asBigint, asInteger, asText, isObject, type JsonObject } from '../cluster/json.ts'
import type { Lsn } from '../cluster/lsn.ts'
import type { AgentPort, FailsafeCall } from './agent-port.ts'
import { type Answer, errorPage, text } from './answer.ts'

/** Nobody has longer leases; a promise that a caller dictates must end. */
const TTL_MS_MAX = 86_400_000

/** The answer; a 200 with the text `Accepted` is a promise. */
export function answerFailsafe(agent: AgentPort, body: JsonObject): Answer {
  const call = readCall(body)
  if (call === undefined) return text(400, 'the body names nobody')
  switch (agent.acceptFailsafe(call)) {
    case 'off':
      return errorPage(502, 'Failsafe mode is off')
    case 'refused':
      return text(500, 'Not accepted')
    case 'accepted': {
      const { facts } = agent.status()
      const position = facts?.receivedLsn ?? facts?.replayedLsn
      return text(200, 'Accepted', position === undefined ? {} : { lsn: position.toString() })
    }
  }
}

function readCall(body: JsonObject): FailsafeCall | undefined {
  const name = asText(body['name'])
  if (name === undefined || name === '') return undefined
  const slots: Record<string, Lsn> = {}
  const given = body['slots']
  for (const [slot, value] of Object.entries(isObject(given) ? given : {})) {
    const lsn = asBigint(value)
    if (lsn !== undefined) slots[slot] = lsn
  }
  const ttlMs = asInteger(body['ttl_ms']) ?? 0
  return {
    name,
    apiUrl: asText(body['api_url']),
    slots,
    ttlMs: ttlMs > 0 ? Math.min(ttlMs, TTL_MS_MAX) : undefined,
  }
}
