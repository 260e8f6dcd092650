// Whether anybody could take over, as far as the keys tell. Asking the candidates themselves comes after. Pure.

import type { Member } from '../cluster/member.ts'
import { isInSync, type SyncState } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Order } from './order.ts'

export type Candidates =
  | { readonly urls: ReadonlyMap<string, string> }
  /** Why the order is impossible: the text of a 412. */
  | { readonly refusal: string }

/** The members to ask (name -> api_url), or the reason why there is nobody to ask. */
export function findCandidates(view: ClusterView, { action, request }: Order): Candidates {
  const leader = view.leader?.name
  if (request.leader !== undefined && request.leader !== leader) {
    return { refusal: 'leader name does not match' }
  }
  const sync = view.sync?.value
  const others = [...view.members.values()].filter(member => member.name !== leader)
  const members =
    request.candidate === undefined
      ? unnamed(others, sync, action)
      : named(view, request.candidate, sync, action)
  if (typeof members === 'string') return { refusal: members }
  const urls = new Map<string, string>()
  for (const { name, apiUrl } of members) if (apiUrl !== undefined) urls.set(name, apiUrl)
  return { urls }
}

function named(
  view: ClusterView,
  candidate: string,
  sync: SyncState | undefined,
  action: Order['action'],
): readonly Member[] | string {
  if (action === 'switchover' && sync !== undefined && !isStandby(sync, candidate)) {
    return 'candidate name does not match with sync_standby'
  }
  const member = view.members.get(candidate)
  return member === undefined ? 'candidate does not exists' : [member]
}

function unnamed(
  others: readonly Member[],
  sync: SyncState | undefined,
  action: Order['action'],
): readonly Member[] | string {
  if (sync !== undefined) {
    const standbys = others.filter(member => isStandby(sync, member.name))
    return standbys.length > 0 ? standbys : `${action} is not possible: can not find sync_standby`
  }
  return others.length > 0 ? others : `${action} is not possible: cluster does not have members except leader`
}

function isStandby(sync: SyncState, name: string): boolean {
  return isInSync({ ...sync, leader: undefined }, name)
}
