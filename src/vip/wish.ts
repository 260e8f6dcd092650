// Whether a process may own a virtual IP, from what it knows of the cluster. Pure.

import type { VipWish } from './driver.ts'

/** A member and the host that it runs on. */
export interface Standing {
  readonly member: string
  /** Address or name, as the cluster knows it. */
  readonly host: string
}

/** What a proxy knows. */
export interface ProxyStanding {
  /** Why it cannot serve anybody now; undefined while it can. */
  readonly lacks: string | undefined
  /** Who takes new write sessions. */
  readonly leader: Standing | undefined
  /** Who takes read sessions. */
  readonly replicas: readonly Standing[]
}

/** Which host this is: the member's name from the file, or the addresses of this host. */
export interface Place {
  readonly member: string | undefined
  readonly addresses: ReadonlySet<string>
}

/** What an agent knows of its own server. */
export interface AgentStanding {
  readonly isLeader: boolean
  readonly leader: string | undefined
  /** A running replica that reads may go to. */
  readonly isReadable: boolean
  readonly state: string
}

/** A proxy that serves badly stays a candidate: with nobody better the addresses are better here than nowhere. */
export function proxyWish(
  follow: 'proxy' | 'leader' | 'replica',
  priority: number,
  standing: ProxyStanding,
  place: Place,
): VipWish {
  const { lacks, leader, replicas } = standing
  if (follow === 'proxy') {
    return lacks === undefined
      ? { isEligible: true, priority }
      : { isEligible: true, priority, impaired: lacks }
  }
  const leads = leader !== undefined && isHere(leader, place)
  if (follow === 'leader') {
    if (leads) return { isEligible: true, priority }
    return {
      isEligible: false,
      why: leader === undefined ? 'there is no leader' : `the leader is ${leader.member}`,
    }
  }
  if (replicas.some(replica => isHere(replica, place))) return { isEligible: true, priority }
  return leads ? onLeader(priority) : { isEligible: false, why: 'no replica of this host takes reads' }
}

export function agentWish(follow: 'leader' | 'replica', priority: number, standing: AgentStanding): VipWish {
  const { isLeader, leader, isReadable, state } = standing
  if (follow === 'replica') {
    if (isReadable) return { isEligible: true, priority }
    return isLeader ? onLeader(priority) : { isEligible: false, why: `no replica that takes reads: ${state}` }
  }
  if (isLeader) return { isEligible: true, priority }
  const why = leader === undefined ? 'there is no leader' : `the leader is ${leader}`
  return { isEligible: false, why }
}

function onLeader(priority: number): VipWish {
  return { isEligible: true, priority, impaired: 'this host has the leader' }
}

function isHere({ member, host }: Standing, place: Place): boolean {
  return place.member === undefined ? place.addresses.has(host) : place.member === member
}
