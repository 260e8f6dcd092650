// An agent for tests of the REST server: a status that the test sets, a store in memory or a real one.

import type { AuditRecord } from '../../src/api/actions.ts'
import type { AgentPort, AgentStatus, FailsafeCall, OperatorPort } from '../../src/api/agent-port.ts'
import type { JsonObject } from '../../src/cluster/json.ts'
import type { Dcs } from '../../src/dcs/dcs.ts'
import { MemoryDcs } from '../../src/dcs/memory.ts'
import { MemoryStore } from '../../src/dcs/memory-store.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

/** With an empty store in memory. */
export function fakeAgent(clock: Clock, current: AgentStatus): FakeAgent {
  return new FakeAgent(clock, current, new MemoryDcs(new MemoryStore({ clock })))
}

export class FakeAgent<Store extends Dcs = MemoryDcs> implements AgentPort {
  readonly dcs: Store
  readonly #clock: Clock
  /** What the loop knows; its times are on the test's clock. */
  current: AgentStatus
  wakes = 0
  /** Called at each wake: the test plays the agents' part. */
  onWake: () => Promise<void> = async () => {}
  /** What was told of calls that change something. */
  readonly audited: AuditRecord[] = []
  /** What the member was ordered to do, and what it answers. */
  readonly orders: string[] = []
  restartAnswer = { isDone: true, says: 'restarted successfully' }
  reinitAnswer: string | undefined
  isRestartScheduled = false
  readonly operator: OperatorPort = {
    restart: async conditions => {
      this.orders.push(`restart ${JSON.stringify(conditions)}`)
      return this.restartAnswer
    },
    schedule: (_conditions, at) => {
      this.orders.push(`restart at ${at}`)
      const isFirst = !this.isRestartScheduled
      this.isRestartScheduled = true
      return isFirst
    },
    dropSchedule: () => {
      const wasScheduled = this.isRestartScheduled
      this.isRestartScheduled = false
      return wasScheduled
    },
    reinitialize: async isForced => {
      this.orders.push(`reinitialize ${isForced ? 'by force' : ''}`.trim())
      return this.reinitAnswer
    },
    reload: () => {
      this.orders.push('reload')
    },
  }
  /** What is thrown by `onWake` is kept here. */
  trouble: unknown

  constructor(clock: Clock, current: AgentStatus, dcs: Store) {
    this.#clock = clock
    this.current = current
    this.dcs = dcs
  }

  status(): AgentStatus {
    return { ...this.current, takenAtMs: this.#clock.monotonicMs() }
  }

  async freshStatus(_by: Deadline): Promise<AgentStatus> {
    return this.status()
  }

  /** What `acceptFailsafe` says. */
  failsafe: 'accepted' | 'refused' | 'off' = 'off'
  readonly failsafeCalls: FailsafeCall[] = []

  acceptFailsafe(call: FailsafeCall): 'accepted' | 'refused' | 'off' {
    this.failsafeCalls.push(call)
    return this.failsafe
  }

  events(count: number): readonly JsonObject[] {
    return [{ id: 1, kind: 'promoted', says: 'promoted in 0.19 s' }].slice(0, count)
  }

  wake(): void {
    this.wakes++
    this.onWake().catch((error: unknown) => {
      this.trouble = error
    })
  }

  /** Writes keys as somebody else would; undefined deletes. */
  async put(keys: Readonly<Record<string, string | undefined>>): Promise<void> {
    const writes = Object.entries(keys).map(([key, value]) =>
      value === undefined ? ({ kind: 'delete', key } as const) : ({ kind: 'put', key, value } as const),
    )
    await this.dcs.write([], writes, Deadline.in(this.#clock, 5_000))
  }
}
