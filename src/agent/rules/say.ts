// Small words that all rules share.

import { hostPortOf } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerStatus, Upstream } from '../../postgres/port.ts'
import type { Action, Decision } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'

/** A decision in one line. */
export function say(rule: string, says: string, memory: Memory, ...actions: readonly Action[]): Decision {
  return { rule, says, actions, memory }
}

/** The same for a server that tells nothing; a warning where that is somebody's mistake. */
export function sayUnanswered(rule: string, says: string, memory: Memory, server: ServerStatus): Decision {
  return { ...say(rule, says, memory), needsOperator: server.isTroubleMistake === true }
}

/** Before a lead is given away: can anybody take it over? `why` is why it would be. */
export function askHeirs(why: string, peers: ReadonlyMap<string, string>, memory: Memory): Decision {
  const says = `${why}: asking the others whether they can take over`
  return say('ask-heirs', says, memory, { kind: 'ask-peers', peers })
}

/** What `initialize` says once the cluster exists. */
export function isSystemId(text: string): boolean {
  return /^\d{10,}$/.test(text)
}

/** Where to stream from: the leader's server, if its member key tells an address. */
export function leaderUpstream(view: ClusterView): Upstream | undefined {
  const { leader } = view
  if (leader === undefined) return undefined
  const address = hostPortOf(view.members.get(leader.name)?.connUrl)
  return address === undefined ? undefined : { member: leader.name, address }
}

/** Does the leader's own key say that its server is out of recovery? */
export function leaderIsPrimary(view: ClusterView): boolean {
  const member = view.leader === undefined ? undefined : view.members.get(view.leader.name)
  return member?.role === 'primary' && member.state === 'running'
}

/** A primary, by its own word, or by its control file where it does not answer. */
export function runsAsPrimary({ facts, process, controlState }: ServerStatus): boolean {
  return facts === undefined
    ? process === 'running' && controlState === 'in production'
    : facts.role === 'primary'
}

/** Whether the server's storage has taken no write for too long: nothing can be committed, whatever the server answers. */
export function isStorageHung({ server, config }: Pick<Snapshot, 'server' | 'config'>): boolean {
  const { hungAfterSeconds } = config
  return hungAfterSeconds > 0 && (server.storage?.silentMs ?? 0) > hungAfterSeconds * 1000
}

/** Whether new connections have been without an answer for too long. */
export function isDeaf({ server, config }: Pick<Snapshot, 'server' | 'config'>): boolean {
  const { hungAfterSeconds } = config
  return hungAfterSeconds > 0 && (server.unansweredMs ?? 0) > hungAfterSeconds * 1000
}
