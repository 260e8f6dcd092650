// What the REST server may ask of the agent. Answers come from memory: a health check never waits for a query.

import type { JsonObject } from '../cluster/json.ts'
import type { Tags } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import type { Dcs } from '../dcs/dcs.ts'
import type { Deadline } from '../platform/deadline.ts'
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
  readonly pgherd: JsonObject
}

export interface AgentPort {
  /** `leaseLeftMs` and the age are computed at the call. */
  status(): AgentStatus
  /**
   * Looks at the server now and waits for it, at most until `by`. For callers that compare WAL positions (the race): a
   * position from memory could make a member look behind that has the last acknowledged commit.
   */
  freshStatus(by: Deadline): Promise<AgentStatus>
  /** Wakes the loop: something was written that it should act on now. */
  wake(): void
  readonly dcs: Dcs
}
