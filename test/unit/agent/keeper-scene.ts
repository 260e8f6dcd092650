// A lease keeper and a fence with nothing real around them.

import assert from 'node:assert/strict'
import { Fence } from '../../../src/agent/fence.ts'
import { LeaseKeeper } from '../../../src/agent/lease-keeper.ts'
import type { Loss } from '../../../src/agent/lease-timings.ts'
import type { Dcs, Outcome, Renewal, Write, Written } from '../../../src/dcs/dcs.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

export const TTL_MS = 5_000
export const timings = { ttlMs: TTL_MS, loopWaitMs: 1_000, retryTimeoutMs: 1_000 }
export const MARGIN_MS = 500
export const position = (revision: bigint, clusterId = 'c1') => ({ clusterId, revision, raftTerm: 1n })

/** A store of one lease and one key whose answers a test chooses. */
class ScriptedStore {
  readonly clock: FakeClock
  answer: 'won' | 'lost' | 'unreachable' | 'unknown' = 'won'
  latencyMs = 0
  writeLatencyMs = 0
  keepAlives = 0
  writes: (readonly Write[])[] = []
  /** The smallest ttl that this store grants. */
  ttlSecondsMin = 0
  readonly #ttls = new Map<bigint, number>()
  #lease = 1n

  constructor(clock: FakeClock) {
    this.clock = clock
  }

  async grantLease(ttlSeconds: number) {
    this.#lease += 1n
    const granted = Math.max(ttlSeconds, this.ttlSecondsMin)
    this.#ttls.set(this.#lease, granted)
    return { id: this.#lease, ttlSeconds: granted, sentAtMs: this.clock.monotonicMs() }
  }

  async keepAlive(id: bigint): Promise<Renewal> {
    this.keepAlives += 1
    const sentAtMs = this.clock.monotonicMs()
    if (this.latencyMs > 0) await this.clock.sleep(this.latencyMs)
    if (this.answer !== 'won') return { outcome: this.answer }
    return { outcome: 'won', lease: { id, ttlSeconds: this.#ttls.get(id) ?? 0, sentAtMs } }
  }

  async write(_conditions: unknown, writes: readonly Write[]): Promise<Written> {
    this.writes.push(writes)
    if (this.writeLatencyMs > 0) await this.clock.sleep(this.writeLatencyMs)
    const outcome: Outcome = this.answer
    return { outcome, revision: outcome === 'won' ? 50n : undefined }
  }
}

/** A keeper and a fence on a clock and a store that a test holds. */
export function scene(used = timings, isPromised: (loss: Loss) => boolean = () => false) {
  const clock = new FakeClock()
  const store = new ScriptedStore(clock)
  const lost: string[] = []
  const signals: string[] = []
  const onProven: (() => void)[] = []
  const server = { family: 3 }
  const keeper = new LeaseKeeper(
    {
      dcs: store as unknown as Dcs,
      name: 'pg1',
      clock,
      log: silentLogger,
      onLost: (why, loss) => {
        lost.push(why)
        if (!isPromised(loss)) fence.shorten(loss)
      },
      onRenewed: () => {},
      onProven: () => {
        for (const listener of onProven) listener()
      },
    },
    used,
  )
  stores.set(keeper, store)
  let suspendedMs = 0
  const fenced: string[] = []
  const fence = new Fence({
    keeper,
    clock,
    log: silentLogger,
    suspendAwareMs: () => clock.monotonicMs() + suspendedMs,
    onFenced: says => fenced.push(says),
    postgres: {
      signalPostmaster: signal => void signals.push(`${Math.round(clock.monotonicMs())} ${signal}`),
      killFamily: async () => {
        const found = server.family
        server.family = 0
        return found
      },
    },
  })
  const lead = async () => {
    keeper.start()
    fence.start()
    const by = { remainingMs: () => 1_000 } as never
    assert.equal(await keeper.acquire(by), 'won')
    fence.arm()
  }
  const suspend = (forMs: number) => {
    suspendedMs += forMs
  }
  return { clock, store, keeper, fence, lost, signals, fenced, server, lead, suspend, onProven }
}

const stores = new WeakMap<LeaseKeeper, ScriptedStore>()

/** The loop lives: it begins a turn each half second, and reads the key where the store answers. */
export async function runLoop(clock: FakeClock, keeper: LeaseKeeper, forMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < forMs; passedMs += 500) {
    keeper.noteTurn()
    const { hold } = keeper
    const answers = stores.get(keeper)?.answer === 'won'
    if (hold !== undefined && answers) keeper.verify(hold, keeper.ask().seen ?? position(hold.modRevision))
    await clock.advance(Math.min(500, forMs - passedMs))
  }
}
