// Long work beside the loop: at most one at a time, cancellable, its outcome an update of the memory.

import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Memory, RunningTask, TaskKind } from './snapshot.ts'

/** What a finished task teaches: applied before the next decision. */
export type MemoryUpdate = (memory: Memory) => Memory

export const noUpdate: MemoryUpdate = memory => memory

export interface TaskPlan {
  readonly kind: TaskKind
  readonly says: string
  readonly work: (signal: AbortSignal) => Promise<MemoryUpdate>
  /** Applied when the work throws. */
  readonly onFailure: MemoryUpdate
}

export class Tasks {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #onDone: (kind: TaskKind, tookMs: number, isDone: boolean) => void
  #running:
    | { readonly task: RunningTask; readonly done: Promise<void>; readonly abort: AbortController }
    | undefined
  #updates: MemoryUpdate[] = []
  #endedCount = 0

  constructor(clock: Clock, log: Logger, onDone: (kind: TaskKind, tookMs: number, isDone: boolean) => void) {
    this.#clock = clock
    this.#log = log
    this.#onDone = onDone
  }

  /** Grows when a task ends. */
  get endedCount(): number {
    return this.#endedCount
  }

  get running(): RunningTask | undefined {
    return this.#running?.task
  }

  /** Starts the task unless one runs. Returns whether it was started. */
  start(plan: TaskPlan): boolean {
    if (this.#running !== undefined) return false
    const abort = new AbortController()
    const task = { kind: plan.kind, says: plan.says, startedAtMs: this.#clock.monotonicMs() }
    const done = this.#run(plan, abort.signal).then(({ update, isDone }) => {
      this.#updates.push(update)
      this.#running = undefined
      this.#endedCount += 1
      this.#onDone(task.kind, this.#clock.monotonicMs() - task.startedAtMs, isDone)
    })
    this.#running = { task, done, abort }
    return true
  }

  /** The updates of tasks that ended since the last call, in order. */
  takeUpdates(): readonly MemoryUpdate[] {
    return this.#updates.splice(0)
  }

  /** Asks the running task to stop and waits until it has. */
  async cancel(why: string): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    running.abort.abort(new Error(why))
    await running.done
  }

  async #run(
    plan: TaskPlan,
    signal: AbortSignal,
  ): Promise<{ readonly update: MemoryUpdate; readonly isDone: boolean }> {
    try {
      return { update: await plan.work(signal), isDone: true }
    } catch (error) {
      this.#log.error(`${plan.says} failed: ${messageOf(error)}`)
      return { update: plan.onFailure, isDone: false }
    }
  }
}
