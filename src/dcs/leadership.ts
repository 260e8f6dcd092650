// The leadership writes, each one transaction over what was read. The same code over every Dcs.

import type { Deadline } from '../platform/deadline.ts'
import type { Condition, Dcs, LeaderHold, Write, Written } from './dcs.ts'

/** Takes the leader key if nobody has it. On `won`, the hold's revisions are the write's revision. */
export function acquireLeader(
  dcs: Dcs,
  name: string,
  leaseId: bigint,
  by: Deadline,
  also: readonly Write[] = [],
  conditions: readonly Condition[] = [],
): Promise<Written> {
  return dcs.write(
    [{ kind: 'absent', key: 'leader' }, ...conditions],
    [{ kind: 'put', key: 'leader', value: name, leaseId }, ...also],
    by,
  )
}

/**
 * Puts our key under a new lease without starting a new epoch. Allowed only in the first turn after a start, when the
 * local server runs as primary on the cluster's timeline; refused if anybody touched the key since it was read.
 */
export function reattachLeader(dcs: Dcs, hold: LeaderHold, leaseId: bigint, by: Deadline): Promise<Written> {
  return dcs.write(
    [{ kind: 'mod-revision', key: 'leader', revision: hold.modRevision }],
    [{ kind: 'put', key: 'leader', value: hold.name, leaseId }],
    by,
  )
}

/** Gives the key up. Call only when the server is stopped or no longer a primary. */
export function releaseLeader(
  dcs: Dcs,
  hold: LeaderHold,
  by: Deadline,
  also: readonly Write[] = [],
): Promise<Written> {
  return dcs.write([stillHolds(hold)], [...also, { kind: 'delete', key: 'leader' }], by)
}

/** Writes that only the leader may make: refused once our term is over, however late they arrive. */
export function writeAsLeader(
  dcs: Dcs,
  hold: LeaderHold,
  writes: readonly Write[],
  by: Deadline,
  conditions: readonly Condition[] = [],
): Promise<Written> {
  return dcs.write([stillHolds(hold), ...conditions], writes, by)
}

function stillHolds(hold: LeaderHold): Condition {
  return { kind: 'create-revision', key: 'leader', revision: hold.createRevision }
}
