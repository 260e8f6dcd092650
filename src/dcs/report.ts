// How the store is, for people: each endpoint as it answered just now.

/** One endpoint as it answered just now. */
export interface EndpointReport {
  readonly endpoint: string
  /** Not in the configuration, but in etcd's member list. */
  readonly isLearned: boolean
  readonly isPreferred: boolean
  /** Undefined when it answered. */
  readonly fault: string | undefined
  readonly version: string | undefined
  readonly clusterId: string | undefined
  readonly isRaftLeader: boolean
  readonly raftTerm: bigint | undefined
  readonly revision: bigint | undefined
  readonly dbBytes: bigint | undefined
  /** Of a linearizable read at this endpoint, in milliseconds; undefined when it could not be made. */
  readonly readMs: number | undefined
}

export interface StoreReport {
  readonly endpoints: readonly EndpointReport[]
}
