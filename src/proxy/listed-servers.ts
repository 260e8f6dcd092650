// What the servers that a file lists are to the proxy as a whole.

import type { ListenerConfig, ServerOptions } from '../config/proxy/types.ts'
import { ruleOf } from './checks.ts'

/** Is the pool the servers of the file themselves, by their own checks? */
export function isOwnPool({ pool }: ListenerConfig): boolean {
  return pool === 'servers'
}

/** How the leader's checks of the file are counted. */
export function leaderRuleOf(
  { servers }: ListenerConfig,
  member: string,
): ReturnType<typeof ruleOf> | undefined {
  const check = servers.find(({ name }) => name === member)?.check
  return check === undefined ? undefined : ruleOf(check, true)
}

/** Each server of the file once, whatever sections name it. */
export function uniqueServers(listeners: readonly ListenerConfig[]): readonly ServerOptions[] {
  const byName = new Map<string, ServerOptions>()
  for (const { servers } of listeners) {
    for (const server of servers) if (!byName.has(server.name)) byName.set(server.name, server)
  }
  return [...byName.values()]
}
