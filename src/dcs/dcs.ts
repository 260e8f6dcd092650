// What the agent, the proxy and ctl may ask of the store. Contract: docs/contracts/dcs.md.
// Every call takes a deadline, none retries a write by itself, every leadership write is a compare-and-swap.

import type { ClusterView, KeyValue, LeaderKey, Position } from '../cluster/view.ts'
import type { Deadline } from '../platform/deadline.ts'

/**
 * How a write ended. `won`: applied. `lost`: a compare failed, or the lease is gone. `unreachable`: it never left or was
 * surely not applied. `unknown`: the answer did not come, it may still be applied later: read before acting.
 */
export type Outcome = 'won' | 'lost' | 'unreachable' | 'unknown'

/** A write's outcome and, when it won, the revision at which it was applied. */
export interface Written {
  readonly outcome: Outcome
  readonly revision: bigint | undefined
}

/** A lease as granted or renewed. `sentAtMs` is the monotonic time before the request left: deadlines count from it. */
export interface Lease {
  readonly id: bigint
  /** What the server granted, which may be more than was asked. */
  readonly ttlSeconds: number
  readonly sentAtMs: number
}

/** The result of a keepalive: `won` with the new lease data, `lost` when the lease no longer exists. */
export type Renewal =
  | { readonly outcome: 'won'; readonly lease: Lease }
  | { readonly outcome: 'lost' | 'unreachable' | 'unknown' }

/** Our hold on the leader key: later writes compare these revisions. */
export interface LeaderHold {
  readonly name: string
  readonly createRevision: bigint
  readonly modRevision: bigint
  readonly leaseId: bigint
}

/** What must hold for a write to be applied; all must hold together. Keys are relative to the scope's prefix. */
export type Condition =
  | { readonly kind: 'absent'; readonly key: string }
  | { readonly kind: 'create-revision'; readonly key: string; readonly revision: bigint }
  | { readonly kind: 'mod-revision'; readonly key: string; readonly revision: bigint }

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly leaseId?: bigint }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'delete-prefix'; readonly prefix: string }

/** What a watch tells. `events` carry values, so that the leader's change is known without a further read. */
export type Notice =
  | {
      readonly kind: 'events'
      readonly position: Position
      readonly events: readonly WatchEvent[]
    }
  /** Continuity is lost, or a stream (re)started: read everything again. `why` is for the log. */
  | { readonly kind: 'stale'; readonly why: string }

export type WatchEvent =
  | { readonly kind: 'put'; readonly kv: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: bigint }

export interface WatchOptions {
  /** Streams kept open at the same time, each on another etcd member (fewer if there are fewer members). */
  readonly streams: 1 | 2
  readonly signal: AbortSignal
}

/** Remaining lifetime of a lease as the server saw it, with the monotonic time before the question left. */
export interface LeaseLeft {
  /** Undefined when the lease no longer exists. */
  readonly leftSeconds: number | undefined
  readonly grantedSeconds: number
  readonly sentAtMs: number
}

export interface Dcs {
  /**
   * Reads the whole scope, linearizable. Throws HaError: `E_DCS_UNREACHABLE`, `E_DCS_TIMEOUT`, `E_DCS_AUTH`,
   * `E_DCS_REJECTED`, and `E_DCS_STALE` when only members with a lower raft term than seen before answered in time.
   */
  read(by: Deadline): Promise<ClusterView>
  grantLease(ttlSeconds: number, by: Deadline): Promise<Lease>
  keepAlive(leaseId: bigint, by: Deadline): Promise<Renewal>
  leaseLeft(leaseId: bigint, by: Deadline): Promise<LeaseLeft>
  revokeLease(leaseId: bigint, by: Deadline): Promise<Outcome>
  /** The one primitive under all writes: applied as a whole if every condition holds. */
  write(conditions: readonly Condition[], writes: readonly Write[], by: Deadline): Promise<Written>
  /**
   * Events of the scope until the signal aborts; begins with `stale`. Reconnects and resumes by itself, never throws.
   * A wake-up, not a truth: whoever decides reads first (the proxy may retire a leader on an event, never accept one
   * without its server's own word).
   */
  watch(options: WatchOptions): AsyncIterable<Notice>
  /** `retry_timeout` of the configuration in force: the time in which every endpoint should have had a try. */
  setRetryTimeout?(durationMs: number): void
  close(): Promise<void>
}

/** The hold that a leader key gives, if it is ours. */
export function holdOf(leader: LeaderKey): LeaderHold {
  return {
    name: leader.name,
    createRevision: leader.createRevision,
    modRevision: leader.modRevision,
    leaseId: leader.leaseId,
  }
}
