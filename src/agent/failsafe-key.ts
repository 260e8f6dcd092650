// Who takes part in failsafe mode: the `failsafe` key, written by the leader, and what a leader without etcd tells the others.

import { type JsonObject, printJson } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import { memberUrl } from './member-key.ts'
import type { AgentParts } from './parts.ts'
import type { AgentState } from './state.ts'

export const FAILSAFE_KEY = 'failsafe'

/** The key's value: every member with an API, ourselves included. */
export function printFailsafe(view: ClusterView, me: string, apiUrl: string): string {
  const urls = new Map([[me, apiUrl]])
  for (const { name, apiUrl: url } of view.members.values()) if (url !== undefined) urls.set(name, url)
  return printJson(Object.fromEntries([...urls].sort(([a], [b]) => (a < b ? -1 : 1))))
}

/**
 * Everybody who may believe to be in the key: those of the last read, and those of our last write, whose answer may not have
 * come. Undefined without a last read.
 */
export function failsafeMembers({
  lastView,
  writtenFailsafe,
}: AgentState): Readonly<Record<string, string>> | undefined {
  if (lastView?.failsafe === undefined) return undefined
  return { ...writtenFailsafe, ...lastView.failsafe }
}

/** The call of a leader that has lost etcd. */
export function failsafeBody({ local, apiUrl }: AgentParts, { server }: AgentState): JsonObject {
  const slots = server.facts?.slots.flatMap(({ name, restartLsn }) =>
    restartLsn === undefined ? [] : [[name, restartLsn] as const],
  )
  return {
    name: local.name,
    conn_url: memberUrl(local.postgres.connectAddress, local.postgres.database),
    api_url: apiUrl,
    slots: Object.fromEntries(slots ?? []),
  }
}
