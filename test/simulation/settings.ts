// What a seed chooses before anything happens: the cluster's times and switches, how many clients, which faults.

import type { JsonObject } from '../../src/cluster/json.ts'
import type { WatchdogConfig } from '../../src/config/agent/types.ts'
import type { Random } from './core/random.ts'
import { standbySection } from './standby-life.ts'

/** Which loss of commits a failover may bring. */
export type Durability = 'async' | 'sync' | 'strict' | 'quorum'

export interface Settings {
  readonly durability: Durability
  readonly isFailsafe: boolean
  /** synchronous_node_count. */
  readonly synchronousNodes: number
  readonly ttlSeconds: number
  readonly loopWaitSeconds: number
  readonly retryTimeoutSeconds: number
  readonly checkTimeline: boolean
  /** Only faults happen that are no reason to change the leader. */
  readonly isGentle: boolean
  readonly primaryStartTimeoutSeconds: number
  readonly proxies: number
  readonly writers: number
  /** A cluster of its own, or one that follows another site. */
  readonly site: 'main' | 'standby'
  /** A fourth member follows the third one. */
  readonly isCascading: boolean
  /** Faults happen for this long. */
  readonly faultyMs: number
  /** Mean pause between the beginnings of two faults. */
  readonly faultEveryMs: number
  readonly watchdog: WatchdogConfig['mode']
  readonly primaryRaceBackoffSeconds: number
  /** Mean pause between two rows of the client without a proxy: now and then nothing is under way. */
  readonly directEveryMs: number
}

const DURABILITIES: readonly Durability[] = ['async', 'sync', 'strict', 'quorum']

const TIMES: readonly (readonly [number, number, number])[] = [
  [5, 1, 1],
  [5, 1, 2],
  [6, 2, 2],
  [8, 2, 3],
  [10, 2, 3],
  [20, 5, 5],
]

export function drawSettings(random: Random): Settings {
  const [ttlSeconds, loopWaitSeconds, retryTimeoutSeconds] = random.pick(TIMES)
  const drawn = {
    durability: random.pick(DURABILITIES),
    isFailsafe: random.chance(0.35),
    synchronousNodes: random.whole(1, 2),
    ttlSeconds,
    loopWaitSeconds,
    retryTimeoutSeconds,
    checkTimeline: random.chance(0.5),
    isGentle: random.chance(0.08),
    primaryStartTimeoutSeconds: random.pick([0, 5, 20, 300]),
    proxies: 2,
    writers: random.whole(2, 3),
    faultyMs: 25_000 + ttlSeconds * 1000,
    faultEveryMs: random.between(2_000, 9_000),
    watchdog: random.pick(['off', 'off', 'automatic', 'required'] as const),
  }
  const site = random.chance(0.12) ? 'standby' : 'main'
  const isCascading = random.chance(0.2)
  const primaryRaceBackoffSeconds = random.pick([0, 0, 0, 3, 8])
  // A standby cluster has no primary that could take its key again before anybody else does.
  const isGentle = drawn.isGentle && site === 'main'
  const directEveryMs = random.pick([500, 4_000])
  return { ...drawn, isGentle, site, isCascading, primaryRaceBackoffSeconds, directEveryMs }
}

/** The section of every member's file. A slow server may delay a turn by more than the slack of so short a lease. */
export function watchdogOf({ watchdog, isGentle, ttlSeconds }: Settings): WatchdogConfig {
  return {
    mode: isGentle ? 'off' : watchdog,
    device: '/dev/watchdog',
    safetyMarginSeconds: ttlSeconds >= 20 ? 3 : 2,
    driver: 'default',
  }
}

/** The `config` key that the first node writes. */
export function dynamicOf(settings: Settings): JsonObject {
  return {
    ttl: settings.ttlSeconds,
    loop_wait: settings.loopWaitSeconds,
    retry_timeout: settings.retryTimeoutSeconds,
    check_timeline: settings.checkTimeline,
    primary_start_timeout: settings.primaryStartTimeoutSeconds,
    primary_race_backoff: settings.primaryRaceBackoffSeconds,
    failsafe_mode: settings.isFailsafe,
    ...synchronousOf(settings),
    ...(settings.site === 'standby' ? { standby_cluster: standbySection } : {}),
    pgherd: { short_ttl: true },
    postgresql: {
      use_pg_rewind: true,
      remove_data_directory_on_rewind_failure: true,
    },
  }
}

function synchronousOf({ durability, synchronousNodes }: Settings): JsonObject {
  if (durability === 'async') return {}
  return {
    synchronous_mode: durability === 'quorum' ? 'quorum' : true,
    synchronous_mode_strict: durability === 'strict',
    synchronous_node_count: synchronousNodes,
  }
}
