// Who is in a world, and with which tags.

import type { Tags } from '../../src/cluster/member.ts'
import type { Settings } from './settings.ts'

export const STORES = ['etcd1', 'etcd2', 'etcd3']
const MEMBERS = ['pg1', 'pg2', 'pg3']
const CASCADING = 'pg4'

export function memberNames({ isCascading }: Settings): readonly string[] {
  return isCascading ? [...MEMBERS, CASCADING] : MEMBERS
}

/** The fourth one follows the third, and may lead in every other world. */
export function tagsOf(name: string, seed: number): Tags {
  return name === CASCADING ? { replicatefrom: 'pg3', nofailover: seed % 2 === 0 } : {}
}
