// A proxy whose sessions live in worker threads, as the tests of it need it: the threads, and a far side that goes on while
// this thread, which is the control thread, stands still.

import { Worker } from 'node:worker_threads'
import type { EventDraft } from '../../src/cluster/event.ts'
import type { HostPort } from '../../src/cluster/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { type Clock, realClock } from '../../src/platform/clock.ts'
import type { Transport } from '../../src/proxy/relay/wire.ts'
import { openThreads, type Threads } from '../../src/proxy/threads/threads.ts'
import type { FarSide, FarWish } from './proxy-threads-far.ts'

/** A test, or the whole file. */
interface Scope {
  after(end: () => Promise<unknown>): void
}

export interface OpenedThreads {
  readonly threads: Threads
  readonly told: EventDraft[]
  /** Why the threads were given up. */
  readonly hopeless: Error[]
}

export async function threadsFor(
  t: Scope,
  count = 2,
  relay: Transport['kind'] = 'handle',
  clock: Clock = realClock,
): Promise<OpenedThreads> {
  const told: EventDraft[] = []
  const hopeless: Error[] = []
  const threads = await openThreads({
    count,
    relay,
    clock,
    record: draft => void told.push(draft),
    onHopeless: error => void hopeless.push(error),
  })
  t.after(() => threads.close())
  return { threads, told, hopeless }
}

/** A server and its clients in a thread of their own. */
export class Far {
  readonly #worker: Worker
  readonly address: HostPort
  #clients = 0

  private constructor(worker: Worker, address: HostPort) {
    this.#worker = worker
    this.address = address
  }

  static async open(t: Scope): Promise<Far> {
    const worker = new Worker(new URL('./proxy-threads-far.ts', import.meta.url))
    t.after(() => worker.terminate())
    const opened = Promise.withResolvers<HostPort>()
    worker.once('message', opened.resolve)
    worker.once('error', opened.reject)
    return new Far(worker, await opened.promise)
  }

  /** `count` clients connect to `proxy` and ask without end, each as soon as it has been answered; `quiet` others ask nothing. */
  async connect(proxy: HostPort, count: number, quiet = 0): Promise<void> {
    this.#wish({ do: 'connect', proxy, count, quiet })
    this.#clients += count + quiet
    const expected = this.#clients
    await waitFor(`${expected} clients to be answered`, { withinMs: 20_000, everyMs: 20 }, async note => {
      const { clients } = await this.look()
      const ready = clients.filter(({ isQuiet, isGreeted, answers }) => (isQuiet ? isGreeted : answers > 0))
      note(`${ready.length}`)
      return ready.length === expected
    })
  }

  /** What has happened there so far. `forgets`: longest pauses count from now on. */
  async look(forgets = false): Promise<FarSide> {
    const answer = Promise.withResolvers<FarSide>()
    this.#worker.once('message', answer.resolve)
    this.#wish({ do: 'look', forgets })
    return await answer.promise
  }

  #wish(wish: FarWish): void {
    this.#worker.postMessage(wish)
  }
}

/** Nothing else of this thread gets its turn. */
export function standStill(forMs: number): void {
  const untilMs = performance.now() + forMs
  while (performance.now() < untilMs);
}

/** The machine's own monotonic clock, which all threads share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
