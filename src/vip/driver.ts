// What every driver of a virtual IP is to the process around it: told whether it may own, it tells whether it does.

import type { Deadline } from '../platform/deadline.ts'
import type { VipAddress } from './addresses.ts'

/** Whether this process may own the addresses now, and how much it should. */
export type VipWish =
  | {
      readonly isEligible: true
      readonly priority: number
      /** Why it would serve only badly; then it owns only while nobody better is there. */
      readonly impaired?: string
    }
  /** `why` completes "not eligible: ", for example "the leader is pg2". */
  | { readonly isEligible: false; readonly why: string }

/**
 * `starting`: not heard from the election yet. `standby`: eligible, another one owns. `taking`: won, addresses are being
 * put up. `owner`: addresses are held. `barred`: not eligible. `fault`: the host cannot hold them (link down, duplicate).
 */
export const VIP_STATES = ['starting', 'standby', 'taking', 'owner', 'barred', 'fault', 'stopped'] as const
export type VipState = (typeof VIP_STATES)[number]

/** What people and metrics see of a driver. */
export interface VipStatus {
  readonly name: string
  readonly driver: 'etcd' | 'vrrp' | 'command' | 'none'
  readonly state: VipState
  /** One sentence: why it is in this state. */
  readonly says: string
  /** Name of the owner as far as this driver knows, itself included. */
  readonly owner: string | undefined
  readonly priority: number
  readonly addresses: readonly VipAddress[]
  /** Monotonic time since when the state is what it is. */
  readonly sinceMs: number
}

/** What a driver tells; the process makes events, log lines and metrics of it. */
export interface VipEvents {
  /** The addresses are up and announced. */
  onOwned(says: string): void
  /** The addresses are off this host, or will never have been on it. */
  onLost(says: string): void
  /** Anything else worth a line: `kind` is the event's name, such as `vip-duplicate`. */
  onNotice(kind: string, says: string): void
}

export interface VipDriver {
  readonly name: string
  /** Opens what it needs and begins to take part. Throws UserError with one line when the system lacks something. */
  start(events: VipEvents): Promise<void>
  /** Tells eligibility; may come at any time and often. Losing it drops the addresses before this returns. */
  wish(wish: VipWish): void
  status(): VipStatus
  /** Removes the addresses at once, without waiting for anything: the last act of a dying process. Idempotent. */
  dropNow(why: string): void
  /** Leaves in order: drops the addresses, then lets others take them (lease revoked, priority 0), then closes. */
  stop(by: Deadline): Promise<void>
}
