// From listeners to the pools that routes are decided for. Pure.

import type { ListenerConfig } from '../config/proxy/types.ts'
import type { PoolSpec } from './pool-members.ts'

/** One for each listener that does not go to the leader alone. */
export function createSpecs(listeners: readonly ListenerConfig[]): readonly PoolSpec[] {
  return listeners.flatMap(({ name, pool, filter, servers, allBackups }) => {
    if (pool === 'leader') return []
    return [
      {
        name,
        kind: pool,
        filter,
        allBackups,
        servers: servers.map(({ name: server, isBackup, isDisabled, check, weight }) => ({
          name: server,
          isBackup,
          isDisabled: isDisabled || weight === 0,
          hasCheck: check !== undefined,
          drainsOn404: check?.question.kind === 'http' && check.question.drainsOn404,
        })),
      },
    ]
  })
}

/** Replicas for listeners that nobody described: what a router without pools has. */
export const READ_POOL: PoolSpec = {
  name: 'read',
  kind: 'replica',
  filter: { sync: 'any', tags: {}, lagBytesMax: undefined, lagMsMax: undefined, streamingOnly: false },
  servers: [],
  allBackups: false,
}
