// When a world is well again: one leader, every server in its place, clients writing through the proxies.

import { parseSync } from '../../../src/cluster/sync.ts'
import type { EtcdStore } from '../etcd/store.ts'
import type { SimMember } from '../member.ts'
import type { SimServer } from '../postgres/server.ts'
import type { Settings } from '../settings.ts'

/** What is still missing; undefined when all is well. `remote`: the primary that a standby cluster follows. */
export function whatIsMissing(
  members: readonly SimMember[],
  store: EtcdStore,
  remote?: SimServer,
): string | undefined {
  const holder = store.key('leader')?.value
  if (holder === undefined) return 'no leader key'
  const leader = members.find(member => member.name === holder)
  if (leader === undefined) return `${holder} holds the leader key and is no member`
  const own = leader.server
  const missing = remote === undefined ? noPrimary(leader) : noStandbyLeader(leader, remote)
  if (missing !== undefined) return missing
  for (const member of members) {
    if (!member.isAgentAtWork) return `the agent of ${member.name} does not run`
    if (member === leader) continue
    const { server } = member
    if (server.state !== 'running') return `${member.name} is ${server.state}`
    if (server.role !== 'replica') return `${member.name} is a second primary`
    if (server.receiver?.isStreaming !== true) return `${member.name} does not stream`
    if (server.upstream?.member !== upstreamOf(member, leader))
      return `${member.name} follows ${server.upstream?.member ?? 'nobody'}`
    if (server.data?.timeline !== own.data?.timeline) return `${member.name} is on another timeline`
  }
  return undefined
}

function noPrimary({ name, server }: SimMember): string | undefined {
  const isThere = server.isServing && server.isPrimary && server.data !== undefined
  return isThere ? undefined : `${name} leads and is no running primary`
}

function noStandbyLeader({ name, server }: SimMember, remote: SimServer): string | undefined {
  if (!remote.isPrimary) return 'the remote site has no primary'
  if (!server.isServing || server.isPrimary) return `${name} leads and is no running standby`
  if (server.upstream?.address.host !== remote.address.host) return `${name} leads and follows nobody outside`
  if (server.receiver?.isStreaming !== true) return `${name} leads and does not stream`
  return server.data?.timeline === remote.data?.timeline ? undefined : `${name} is on another timeline`
}

/** Everybody follows the leader, but who names somebody else. */
function upstreamOf({ name, local }: SimMember, leader: SimMember): string {
  const named = local.tags['replicatefrom']
  return typeof named === 'string' && named !== name ? named : leader.name
}

/**
 * The `sync` key of a cluster that is well: the leader's own, with as many standbys as the mode wants of those that stream from
 * it; with a quorum all of them are voters. Undefined when it is so.
 */
export function whatSyncLacks(
  members: readonly SimMember[],
  leader: SimMember,
  value: string | undefined,
  { durability, synchronousNodes }: Pick<Settings, 'durability' | 'synchronousNodes'>,
): string | undefined {
  if (durability === 'async') return value === undefined ? undefined : `there is a sync key still: ${value}`
  const sync = value === undefined ? undefined : parseSync(value)
  if (sync?.leader !== leader.name) return `the sync key is not ${leader.name}'s: ${value}`
  const able = members.filter(member => member !== leader && upstreamOf(member, leader) === leader.name)
  const count = Math.min(synchronousNodes, able.length)
  const isQuorum = durability === 'quorum'
  const isComplete = sync.standbys.length === (isQuorum ? able.length : count)
  const isAble = sync.standbys.every(name => able.some(member => member.name === name))
  const isBound = sync.quorum === (isQuorum ? able.length - count : 0)
  return isComplete && isAble && isBound ? undefined : `the sync key is not complete: ${value}`
}

/** Is there a leader that takes writes, or in a standby cluster one that runs? */
export function hasLeader(members: readonly SimMember[], store: EtcdStore, isStandby = false): boolean {
  const holder = store.key('leader')?.value
  const server = members.find(member => member.name === holder)?.server
  return server?.isServing === true && server.isPrimary === !isStandby
}
