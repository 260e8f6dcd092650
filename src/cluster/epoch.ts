// The identity of one term of leadership. Two terms of one member differ; a re-attached lease does not start a new one.

/** Which leader, of which term, of which etcd cluster. */
export interface Epoch {
  readonly clusterId: string
  /** create_revision of the leader key: it grows with each election. */
  readonly createRevision: bigint
  readonly member: string
}

export function sameEpoch(a: Epoch, b: Epoch): boolean {
  return a.clusterId === b.clusterId && a.createRevision === b.createRevision && a.member === b.member
}

/** Is `a` a later term than `b` of the same etcd cluster? Terms of different clusters cannot be ordered. */
export function isNewer(a: Epoch, b: Epoch): boolean {
  return a.clusterId === b.clusterId && a.createRevision > b.createRevision
}

/** `pg1@1234`: for logs. */
export function printEpoch(epoch: Epoch): string {
  return `${epoch.member}@${epoch.createRevision}`
}
