// From listeners to the pools that routes are decided for. Pure.

import type { HostPort } from '../cluster/member.ts'
import type { ListenerConfig, ServerOptions } from '../config/proxy/types.ts'
import type { LeaversOptions } from './leavers.ts'
import { type PoolServer, type PoolSpec, serverOf } from './pool-members.ts'
import type { RoutingTable } from './route.ts'

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
        servers: servers.map(toPoolServer),
      },
    ]
  })
}

function toPoolServer(server: ServerOptions): PoolServer {
  const { name, address, isBackup, isDisabled, check, weight } = server
  return {
    name,
    address,
    isBackup,
    isDisabled: isDisabled || weight === 0,
    hasCheck: check !== undefined,
    drainsOn404: check?.question.kind === 'http' && check.question.drainsOn404,
    takesLeader: server.takesLeader,
    keepsWhenDown: !server.cutsWhenDown,
    relievesBackups: server.cutsBackupsWhenUp && !isBackup,
  }
}

/** What the file says of those who leave a pool and of those who come back to it. */
export function standingIn(
  pools: readonly PoolSpec[],
  router: {
    readonly table: RoutingTable
    readonly members: ReadonlyMap<string, { readonly address: HostPort }>
  },
  { cutAfterMs }: { readonly cutAfterMs?: (pool: string) => number | undefined },
): Pick<LeaversOptions, 'cutAfterMs' | 'keeps' | 'relieves'> {
  const poolOf = (name: string) => pools.find(pool => pool.name === name)
  const lineOf = (pool: PoolSpec | undefined, member: string) =>
    pool === undefined ? undefined : serverOf(pool, member, router.members)
  return {
    cutAfterMs: (pool, member) =>
      lineOf(poolOf(pool), member)?.keepsWhenDown === true ? undefined : cutAfterMs?.(pool),
    keeps: (pool, member) => router.table.write?.epoch.member === member && poolOf(pool)?.kind !== 'servers',
    relieves: (pool, member) => {
      if (lineOf(poolOf(pool), member)?.relievesBackups !== true) return []
      const { table, members } = router
      const names = [...members.keys()].filter(name => lineOf(poolOf(pool), name)?.isBackup === true)
      return names.filter(name => table.pools.get(pool)?.includes(name) !== true)
    },
  }
}

/** Replicas for listeners that nobody described: what a router without pools has. */
export const READ_POOL: PoolSpec = {
  name: 'read',
  kind: 'replica',
  filter: { sync: 'any', tags: {}, lagBytesMax: undefined, lagMsMax: undefined, streamingOnly: false },
  servers: [],
  allBackups: false,
}
