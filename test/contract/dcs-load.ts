// What an agent and a proxy do with the store all day, recorded, so that a test can judge it after a fault:
// a lease is renewed, the leader key held, numbered keys written, the scope read, two members watched.

import assert from 'node:assert/strict'
import type { Dcs, Outcome } from '../../src/dcs/dcs.ts'
import { acquireLeader } from '../../src/dcs/leadership.ts'
import { by } from './dcs-rig.ts'
import { WatchReader } from './dcs-watch-reader.ts'

interface NumberedWrite {
  readonly number: number
  readonly outcome: Outcome
  readonly revision: bigint | undefined
  readonly wonAtMs: number
}

const CALL_MS = 1_000
const TTL_SECONDS = 5

export class Load {
  readonly watch: WatchReader
  readonly writes: NumberedWrite[] = []
  /** Longest time between two successful renewals, counted from before the requests left. */
  renewalGapMs = 0
  reads = 0
  staleViews = 0
  readonly #agent: Dcs
  #leaseId = 0n
  #createRevision = 0n
  #highest = 0n
  #isOver = false
  #loops: readonly Promise<void>[] = []

  constructor(agent: Dcs, proxy: Dcs) {
    this.#agent = agent
    this.watch = new WatchReader(proxy, 2)
  }

  async start(): Promise<void> {
    await this.watch.begun()
    const lease = await this.#agent.grantLease(TTL_SECONDS, by(5_000))
    this.#leaseId = lease.id
    const { outcome, revision } = await acquireLeader(this.#agent, 'pg1', lease.id, by(5_000))
    assert.equal(outcome, 'won')
    this.#createRevision = revision ?? 0n
    this.#loops = [this.#write(), this.#read(), this.#renew(lease.sentAtMs)]
  }

  /** Ends the loops and reads everything once more, with patience. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }

  /** Numbers of the keys that exist at the end. */
  async present(): Promise<ReadonlySet<number>> {
    const view = await this.#agent.read(by(10_000))
    return new Set([...view.own.keys()].map(key => Number(key.slice(1))))
  }

  /** The leader key still is the one that was created at the start. */
  async holdsLeader(): Promise<boolean> {
    const view = await this.#agent.read(by(10_000))
    return view.leader?.createRevision === this.#createRevision
  }

  /** Time from a write's answer to the watch's notice, for each won write; negative means that the notice was first. */
  noticeDelaysMs(): readonly number[] {
    const atMs = new Map(this.watch.seen.map((event, index) => [event.revision, this.watch.seenAtMs[index]]))
    return this.writes.flatMap(write => {
      const seenAtMs = write.revision === undefined ? undefined : atMs.get(write.revision)
      return seenAtMs === undefined ? [] : [seenAtMs - write.wonAtMs]
    })
  }

  async #write(): Promise<void> {
    for (let number = 0; !this.#isOver; number += 1) {
      const puts = [{ kind: 'put', key: `pgherd/n${number}`, value: String(number) }] as const
      const { outcome, revision } = await this.#agent.write([], puts, by(CALL_MS))
      this.writes.push({ number, outcome, revision, wonAtMs: performance.now() })
      if (revision !== undefined && revision > this.#highest) this.#highest = revision
      await pause(50)
    }
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      const highest = this.#highest
      const view = await this.#agent.read(by(CALL_MS)).catch(() => undefined)
      if (view !== undefined) this.reads += 1
      if (view !== undefined && view.position.revision < highest) this.staleViews += 1
      await pause(100)
    }
  }

  async #renew(firstSentAtMs: number): Promise<void> {
    let lastSentAtMs = firstSentAtMs
    while (!this.#isOver) {
      const renewal = await this.#agent.keepAlive(this.#leaseId, by(CALL_MS))
      if (renewal.outcome === 'won') {
        this.renewalGapMs = Math.max(this.renewalGapMs, renewal.lease.sentAtMs - lastSentAtMs)
        lastSentAtMs = renewal.lease.sentAtMs
      }
      await pause(500)
    }
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, durationMs))
}
