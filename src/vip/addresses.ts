// What a driver may ask about virtual addresses on this host: take, keep, announce, drop.
// Who may own them is the driver's knowledge; how they get onto the interface is the keeper's.

import type { Deadline } from '../platform/deadline.ts'

/** One address as it is put on an interface. */
export interface VipAddress {
  readonly interfaceName: string
  /** Canonical text, without prefix length. */
  readonly address: string
  readonly family: 4 | 6
  /** 32 or 128 unless configured. */
  readonly prefixLength: number
  /** Name under which `ip address` shows it, IPv4 only (`eth0:vip`). */
  readonly label: string | undefined
}

/**
 * How a `take` ended. `held`: every address is on its interface and announced. `duplicate`: somebody answers for one of
 * them; none is held. `cancelled`: `drop` came first. `failed`: the system refused; none is held.
 */
export type Taken =
  | { readonly outcome: 'held' }
  | { readonly outcome: 'duplicate'; readonly address: string; readonly mac: string }
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'failed'; readonly why: string }

export interface TakeOptions {
  /**
   * Monotonic time (clock.monotonicMs) after which no address may be on this host, whatever happens to this process.
   * Undefined for a driver without a lease: then only a stall of this process ends the hold.
   */
  readonly untilMs: number | undefined
  /** Ask first whether another host answers for an address: ARP probe, neighbour solicitation. */
  readonly probe: boolean
}

/** Why addresses went away without the driver's asking. */
export interface KeeperEvents {
  /**
   * The addresses are off this host: this process stalled, the deadline passed, or the guard process is gone. The driver
   * is no owner any more and may run for it again.
   */
  onDropped(why: string): void
  /** What `lacks` says has changed. */
  onChanged(): void
}

/**
 * Keeps the addresses of one virtual IP. While they are held they are looked for every second and put back when somebody
 * took them away, and announced again every minute. A guard process removes them when this process is killed, or frozen
 * for longer than the stall limit.
 */
export interface AddressKeeper {
  readonly addresses: readonly VipAddress[]
  /** True from the moment the first address may be on the interface. */
  readonly isHeld: boolean
  /** What is missing to hold them at all: the guard, an interface. Undefined when nothing is. */
  readonly lacks: string | undefined
  /** Why this host cannot hold them now (`eth0 has no carrier`); undefined while it can. */
  readonly fault: string | undefined
  /**
   * Checks capabilities and interfaces, and begins to start the guard; once that runs, addresses that an earlier process left
   * behind are removed. Throws UserError with one line when the system lacks something.
   */
  open(events: KeeperEvents): Promise<void>
  /** Adds and announces the addresses. One at a time; never throws. */
  take(options: TakeOptions): Promise<Taken>
  /** Moves the deadline of `take`, while held. A deadline that has passed cannot be moved: the addresses are gone. */
  extend(untilMs: number): void
  /**
   * Removes the addresses before it returns, their TCP connections first. Does nothing when none is held. Never throws: what
   * could not be removed is told by the log and tried again.
   */
  drop(why: string): void
  /** Resolves when what `drop` began is over: at once for addresses of this host, later for a command that removes them. */
  settle(by: Deadline): Promise<void>
  /** The lease to give back when this process dies as owner. */
  nameLease(leaseId: bigint): void
  /** Gratuitous ARP request and reply, unsolicited neighbour advertisement: now and as configured afterwards. */
  announce(): void
  /**
   * For whoever is about to serve a client after a pause: drops what may no longer be held. Costs a look at the clock; true
   * while the addresses are held.
   */
  check(): boolean
  /** Drops, ends the guard, closes sockets. */
  close(): Promise<void>
}
