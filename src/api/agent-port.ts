// What the REST server may ask of the agent. Answers come from memory: a health check never waits for a query.

import type { JsonObject } from '../cluster/json.ts'
import type { Lsn } from '../cluster/lsn.ts'
import type { Tags } from '../cluster/member.ts'
import type { RestartConditions } from '../cluster/restart.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Deadline } from '../platform/deadline.ts'
import type { LogHealth } from '../platform/log.ts'
import type { ServerFacts } from '../postgres/port.ts'

/** The loop's last known state of this member, taken at `takenAtMs` (monotonic). */
export interface AgentStatus {
  readonly takenAtMs: number
  readonly name: string
  readonly scope: string
  /** Member state text; `running` only when the server answered. */
  readonly state: string
  /** primary, replica, standby_leader while running; else the internal role (demoted, uninitialized ...). */
  readonly role: string
  readonly facts: ServerFacts | undefined
  /** Milliseconds of leadership left by our own strict clock; 0 when not the leader. */
  readonly leaseLeftMs: number
  readonly isPaused: boolean
  readonly tags: Tags
  /** The last view read from etcd; undefined before the first or while etcd does not answer. */
  readonly view: ClusterView | undefined
  readonly dcsLastSeenWallMs: number | undefined
  readonly config: DynamicConfig
  /** When the loop's next turn is due; liveness compares it. */
  readonly nextTurnAtMs: number
  readonly isRestartPending: boolean
  /** A leader that the others' word keeps, or a member that has given its word. */
  readonly isFailsafeActive: boolean
  /** A watchdog is required and does not work: this member must not lead. */
  readonly isWatchdogFailed?: boolean
  /** By setting: old_value and new_value; empty when no setting waits. */
  readonly pendingReasons: JsonObject
  readonly scheduledRestart: JsonObject | undefined
  readonly pgherd: JsonObject
  /** Lines that wait and that were given up; the program tells it, not the loop. */
  readonly logHealth?: LogHealth
}

/** A leader that has lost etcd, by its own words. */
export interface FailsafeCall {
  readonly name: string
  readonly apiUrl: string | undefined
  /** Where its slots stand. */
  readonly slots: Readonly<Record<string, Lsn>>
  /** For how long it will go by our word; undefined: it does not say. */
  readonly ttlMs: number | undefined
}

export interface AgentPort {
  /** `leaseLeftMs` and the age are computed at the call. */
  status(): AgentStatus
  /**
   * Looks at the server now and waits for it, at most until `by`. For callers that compare WAL positions (the race): a
   * position from memory could make a member look behind that has the last acknowledged commit.
   */
  freshStatus(by: Deadline): Promise<AgentStatus>
  /** A leader that has lost etcd asks to be accepted; on `accepted` this member does not run against it for a ttl, its own or the caller's. */
  acceptFailsafe(call: FailsafeCall): 'accepted' | 'refused' | 'off'
  /** Wakes the loop: something was written that it should act on now. */
  wake(): void
  readonly dcs: Dcs
  readonly operator: OperatorPort
  /** What happened on this member lately, oldest first, as plain JSON. */
  events(count: number): readonly JsonObject[]
}

/** What became of the orders to read the node's file again. */
export interface ReloadReport {
  /** Orders so far, and how many of them have been carried out: the newest is done when both are the same. */
  readonly asked: number
  readonly answered: number
  /** Why the last one changed nothing. */
  readonly error: string | undefined
}

/** Orders for this one member. */
export interface OperatorPort {
  /** Restarts the server now; settles with the outcome. */
  restart(conditions: RestartConditions): Promise<{ readonly isDone: boolean; readonly says: string }>
  /** False when a restart is scheduled already. */
  schedule(conditions: RestartConditions, at: string, atWallMs: number): boolean
  /** False when none is scheduled. */
  dropSchedule(): boolean
  /** Begins a fresh copy of the leader; settles with the refusal, or with undefined when it began. */
  reinitialize(isForced: boolean): Promise<string | undefined>
  /** Reads the node's file again, soon. */
  reload(): void
}

/** An agent as the REST server sees it. `own`: what is the program's business and not the agent's. */
export function agentPort(
  agent: Omit<AgentPort, 'operator' | 'events'> & {
    readonly operator: Omit<AgentPort['operator'], 'reload'>
  },
  own: Pick<AgentPort, 'events'> &
    Pick<AgentPort['operator'], 'reload'> & {
      readonly reloads: () => ReloadReport
      readonly logHealth: () => LogHealth
    },
): AgentPort {
  const { operator } = agent
  const withReloads = (status: AgentStatus): AgentStatus => ({
    ...status,
    pgherd: { ...status.pgherd, ...reloadFields(own.reloads()) },
    logHealth: own.logHealth(),
  })
  return {
    status: () => withReloads(agent.status()),
    freshStatus: async by => withReloads(await agent.freshStatus(by)),
    wake: () => agent.wake(),
    acceptFailsafe: call => agent.acceptFailsafe(call),
    dcs: agent.dcs,
    operator: {
      restart: conditions => operator.restart(conditions),
      schedule: (conditions, at, atWallMs) => operator.schedule(conditions, at, atWallMs),
      dropSchedule: () => operator.dropSchedule(),
      reinitialize: isForced => operator.reinitialize(isForced),
      reload: own.reload,
    },
    events: own.events,
  }
}

function reloadFields({ asked, answered, error }: ReloadReport): JsonObject {
  return {
    reloads_asked: asked,
    reloads_answered: answered,
    ...(error === undefined ? {} : { reload_error: error }),
  }
}
