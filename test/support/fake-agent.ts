// An agent for tests of the REST server: a status that the test sets, a store in memory.

import type { AgentPort, AgentStatus } from '../../src/api/agent-port.ts'
import { MemoryDcs } from '../../src/dcs/memory.ts'
import { MemoryStore } from '../../src/dcs/memory-store.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

export class FakeAgent implements AgentPort {
  readonly dcs: MemoryDcs
  readonly #clock: Clock
  /** What the loop knows; its times are on the test's clock. */
  current: AgentStatus
  wakes = 0
  /** Called at each wake: the test plays the agents' part. */
  onWake: () => Promise<void> = async () => {}
  /** What is thrown by `onWake` is kept here. */
  trouble: unknown

  constructor(clock: Clock, current: AgentStatus) {
    this.#clock = clock
    this.dcs = new MemoryDcs(new MemoryStore({ clock }))
    this.current = current
  }

  status(): AgentStatus {
    return { ...this.current, takenAtMs: this.#clock.monotonicMs() }
  }

  async freshStatus(): Promise<AgentStatus> {
    return this.status()
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
