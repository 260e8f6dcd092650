// What the pieces of one world share.

import type { JsonObject } from '../../src/cluster/json.ts'
import type { dynamicConfig } from '../../src/config/agent/dynamic.ts'
import type { WatchdogConfig } from '../../src/config/agent/types.ts'
import type { Logger } from '../../src/platform/log.ts'
import type { Network } from './core/network.ts'
import type { Random } from './core/random.ts'
import type { Scheduler } from './core/scheduler.ts'
import type { Counts } from './counts.ts'
import type { SimDcsParts } from './etcd/client.ts'
import type { EtcdCluster } from './etcd/cluster.ts'
import type { SimMember } from './member.ts'
import type { PostgresWorld } from './postgres/world.ts'

export interface WorldParts {
  readonly scheduler: Scheduler
  readonly network: Network
  readonly random: Random
  readonly cluster: EtcdCluster
  readonly postgres: PostgresWorld
  readonly counts: Counts
  readonly dynamic: JsonObject
  readonly watchdog: WatchdogConfig
  readonly readDynamic: typeof dynamicConfig
  readonly onTxn: NonNullable<SimDcsParts['onTxn']>
  /** A signal that never aborts. */
  readonly never: AbortSignal
  /** A member's REST server has told a proxy that it leads. */
  onLeaderClaimed(name: string): void
  /** The answer of a peer's REST server has reached an agent that runs for the lead, or thinks of giving it away. */
  onHeard(asker: string, peer: string): void
  memberAt(apiUrl: string): SimMember | undefined
  logger(source: string): Logger
  trace(source: string, says: string): void
  /** Nothing reaches this machine and nothing leaves it, until the result is called. */
  cutOff(machine: string): () => void
}
