// When a world is well again: one leader, every server in its place, clients writing through the proxies.

import type { EtcdStore } from '../etcd/store.ts'
import type { SimMember } from '../member.ts'

/** What is still missing; undefined when all is well. */
export function whatIsMissing(members: readonly SimMember[], store: EtcdStore): string | undefined {
  const holder = store.key('leader')?.value
  if (holder === undefined) return 'no leader key'
  const leader = members.find(member => member.name === holder)
  if (leader === undefined) return `${holder} holds the leader key and is no member`
  const own = leader.server
  if (!own.isServing || !own.isPrimary || own.data === undefined)
    return `${holder} leads and is no running primary`
  for (const member of members) {
    if (!member.isAgentAtWork) return `the agent of ${member.name} does not run`
    if (member === leader) continue
    const { server } = member
    if (server.state !== 'running') return `${member.name} is ${server.state}`
    if (server.role !== 'replica') return `${member.name} is a second primary`
    if (server.receiver?.isStreaming !== true) return `${member.name} does not stream`
    if (server.upstream?.member !== holder)
      return `${member.name} follows ${server.upstream?.member ?? 'nobody'}`
    if (server.data?.timeline !== own.data.timeline) return `${member.name} is on another timeline`
  }
  return undefined
}

/** Is there a leader that takes writes? */
export function hasLeader(members: readonly SimMember[], store: EtcdStore): boolean {
  const holder = store.key('leader')?.value
  const server = members.find(member => member.name === holder)?.server
  return server?.isServing === true && server.isPrimary
}
