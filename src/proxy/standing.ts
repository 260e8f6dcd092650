// What a proxy knows that matters to virtual addresses: whether it serves, and on which hosts leader and replicas are.

import type { JsonObject } from '../cluster/json.ts'
import type { Listener } from './listener.ts'
import type { Router } from './router.ts'

/** What the proxy asks of whoever keeps virtual addresses. */
export interface ProxyVip {
  /** May a client be served that came to this address of ours? */
  mayServe(localAddress: string | undefined): boolean
  document(): readonly JsonObject[]
  /** What the proxy knows of the cluster may have changed. */
  onStanding(): void
}

/** Where members stand, for virtual addresses that follow them. */
export interface Standing {
  /** Why the proxy cannot serve anybody now; undefined while it can. */
  readonly lacks: string | undefined
  readonly leader: StandingMember | undefined
  readonly replicas: readonly StandingMember[]
}

export interface StandingMember {
  readonly member: string
  readonly host: string
}

/** Who leads and who takes reads, at this instant. */
export function readStanding(router: Router, listeners: readonly Listener[]): Standing {
  const { write, reads } = router.table
  const [leader] = write?.takesNew === true ? standingOf(router, write.epoch.member) : []
  return { lacks: lackOf(listeners), leader, replicas: reads.flatMap(name => standingOf(router, name)) }
}

function lackOf(listeners: readonly Listener[]): string | undefined {
  const open = listeners.filter(listener => listener.isListening)
  if (open.length === 0) return 'no listener is open'
  return open.some(listener => listener.hasServer) ? undefined : 'no listener has a server'
}

function standingOf(router: Router, name: string): readonly StandingMember[] {
  const member = router.members.get(name)
  return member === undefined ? [] : [{ member: name, host: member.address.host }]
}
