// What the lease keeper is given, and how it dates what etcd answers.

import type { Position } from '../cluster/view.ts'
import type { Dcs, Renewal } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import type { DatedLease, Instant } from './lease-deadline.ts'
import type { Loss } from './lease-timings.ts'

export interface LeaseKeeperParts {
  readonly dcs: Dcs
  readonly name: string
  readonly clock: Clock
  readonly log: Logger
  /** Called when the hold is found lost, so that the loop runs at once. */
  readonly onLost: (why: string, loss: Loss) => void
  /** Called with the duration of each successful renewal. */
  readonly onRenewed: (tookMs: number) => void
  /** Something has proven our leadership anew; since when it is certain tells `provenSinceMs`. */
  readonly onProven?: () => void
}

/** Taken before a linearizable request leaves. */
export interface Asked extends Instant {
  /** The store as last seen by then. */
  readonly seen: Position | undefined
}

export type DatedRenewal = Exclude<Renewal, { outcome: 'won' }> | { outcome: 'won'; lease: DatedLease }
