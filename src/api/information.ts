// The documents about the whole cluster: /cluster, /config, /history, /failsafe. Pure.

import { printHistoryLine } from '../cluster/history.ts'
import type { Json, JsonObject } from '../cluster/json.ts'
import { formatLsn } from '../cluster/lsn.ts'
import { type Distance, type MemberSummary, scheduledSwitchover, summarize } from '../cluster/summary.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readBoolean } from '../config/agent/units.ts'

/** Members sorted by name, the scope, and pause and schedule when there are any. */
export function clusterDocument(view: ClusterView, scope: string): JsonObject {
  const document: Record<string, Json> = { members: summarize(view).map(memberDocument), scope }
  if (readBoolean(view.config?.value['pause']) === true) document['pause'] = true
  const scheduled = scheduledSwitchover(view)
  if (scheduled !== undefined) {
    document['scheduled_switchover'] = {
      at: scheduled.at,
      ...(scheduled.from === undefined ? {} : { from: scheduled.from }),
      ...(scheduled.to === undefined ? {} : { to: scheduled.to }),
    }
  }
  return document
}

function memberDocument(row: MemberSummary): JsonObject {
  const { member } = row
  const document: Record<string, Json> = { name: row.name, role: row.role, state: row.state }
  if (member.apiUrl !== undefined) document['api_url'] = member.apiUrl
  if (row.host !== undefined) document['host'] = row.host
  if (row.port !== undefined) document['port'] = row.port
  if (row.timeline !== undefined) document['timeline'] = row.timeline
  for (const key of ['pending_restart', 'pending_restart_reason', 'scheduled_restart']) {
    const value = member.raw[key]
    if (value !== undefined && value !== null) document[key] = value
  }
  if (Object.keys(member.tags).length > 0) document['tags'] = member.tags
  if (row.role === 'leader' || row.role === 'standby_leader') return document
  return {
    ...document,
    ...positionFields('receive_lsn', 'receive_lag', row.received),
    ...positionFields('replay_lsn', 'replay_lag', row.replayed),
    ...positionFields('lsn', 'lag', row.position),
  }
}

function positionFields(lsnKey: string, lagKey: string, { lsn, lagBytes }: Distance): JsonObject {
  if (lsn === undefined || lagBytes === undefined) return { [lsnKey]: 'unknown', [lagKey]: 'unknown' }
  return { [lsnKey]: formatLsn(lsn), [lagKey]: lagBytes }
}

/** One array for each switch of timelines. */
export function historyDocument(view: ClusterView): Json {
  return (view.history?.value ?? []).map(printHistoryLine)
}
