// What the agent is made of; built in `commands/agent.ts`, replaced piece by piece in simulations.

import type { EventDraft } from '../cluster/event.ts'
import type { JsonObject } from '../cluster/json.ts'
import type { DynamicConfig, LocalConfig, ServerSettings } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { EventLog } from '../platform/event-log.ts'
import type { Logger } from '../platform/log.ts'
import type { Postgres } from '../postgres/port.ts'
import type { CallbackResult, RunScript } from './callbacks.ts'
import type { AskFailsafe } from './failsafe.ts'
import type { PeerAnswer } from './snapshot.ts'
import type { Watchdogs } from './watchdog.ts'

/** Asks members over REST, in parallel, once; a member that does not answer is in the list as not reachable. */
export type AskPeers = (peers: ReadonlyMap<string, string>, by: Deadline) => Promise<readonly PeerAnswer[]>

/** Turns the `config` key (or nothing) into the configuration in force. */
export type ReadDynamic = (raw: JsonObject | undefined, everyoneIsPgherd: boolean) => DynamicConfig

export interface AgentParts {
  readonly local: LocalConfig
  readonly dcs: Dcs
  readonly postgres: Postgres
  readonly clock: Clock
  readonly log: Logger
  readonly events: EventLog<EventDraft>
  readonly askPeers: AskPeers
  readonly askFailsafe: AskFailsafe
  readonly readDynamic: ReadDynamic
  readonly settingsFor: (config: DynamicConfig) => ServerSettings
  readonly suspendAwareMs: () => number | undefined
  readonly watchdogs: Watchdogs
  readonly runScript: RunScript
  readonly version: string
  readonly apiUrl: string
  readonly metrics: AgentMetrics
}

/** What the agent counts; see docs/metrics.md. */
export interface AgentMetrics {
  turn(tookMs: number, rule: string): void
  leaseRenewed(tookMs: number): void
  fenced(): void
  /** `isDone`: it ended without an error. */
  taskEnded(kind: string, tookMs: number, isDone: boolean): void
  /** One action that `rule` ordered: done, failed, or (a long one) started or refused because another runs. */
  acted(rule: string, action: string, outcome: string): void
  failsafeAsked(isAccepted: boolean): void
  callbackEnded(action: string, result: CallbackResult): void
  watchdogFed(isDone: boolean): void
  /** So many proxies did not say in time that they hold new sessions for an ordered change. */
  proxiesLate(count: number): void
}
