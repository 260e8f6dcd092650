// An agent for tests of the REST server: a status that the test sets, a store in memory or a real one.

import type { AgentPort, AgentStatus } from '../../src/api/agent-port.ts'
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
