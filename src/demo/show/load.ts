// The demo's applications: one writer through each proxy and one reader through all. Together they are "the client" whose
// waiting time the demo measures.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkWrites, type Verdict } from '../checker.ts'
import type { Cluster } from '../cluster.ts'
import type { Tally } from '../tally.ts'
import { createWritesTable, Writer } from '../writer.ts'
import { Reader } from './reader.ts'

const SESSIONS_EACH = 2
const RATE_EACH_PER_SECOND = 25
const SAMPLE_MS = 250
const SAMPLES_MAX = 240
/** Longer than the proxy holds a session: an application that waits is served at the first possible moment. */
const CONNECT_WITHIN_MS = 12_000

/** What the clients saw, all of them together. Missing and doubled rows are counts here. */
export interface LoadVerdict {
  readonly acknowledged: number
  readonly missing: number
  readonly doubled: number
  readonly unacknowledged: number
}

/** A running load on a cluster. */
export class Load {
  readonly reader: Reader
  readonly #writers: readonly { readonly writer: Writer; readonly table: string }[]
  readonly #samples: number[] = []
  readonly #timer: NodeJS.Timeout
  #sampledRows = 0

  private constructor(writers: Load['writers'], reader: Reader) {
    this.#writers = writers
    this.reader = reader
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS)
  }

  /** Makes the tables on the leader and starts writing and reading through all proxies. */
  static async start(cluster: Cluster): Promise<Load> {
    const leader = await cluster.leader()
    const writers = []
    for (const { name, write } of cluster.proxies) {
      const table = `writes_${name}`
      await createWritesTable(sql => leader.query(sql), table)
      const pace = { sessions: SESSIONS_EACH, ratePerSecond: RATE_EACH_PER_SECOND }
      const writer = Writer.start({ target: write, table, ...pace, connectWithinMs: CONNECT_WITHIN_MS })
      writers.push({ writer, table })
    }
    const addresses = new Map(cluster.members.map(member => [member.host.address, member.name]))
    const reads = cluster.proxies.map(proxy => proxy.read)
    return new Load(
      writers,
      Reader.start(reads, address => addresses.get(address) ?? address),
    )
  }

  get writers(): readonly { readonly writer: Writer; readonly table: string }[] {
    return this.#writers
  }

  get tallies(): readonly Tally[] {
    return this.#writers.map(({ writer }) => writer.tally)
  }

  /** Rows acknowledged so far. */
  get acknowledged(): number {
    return this.tallies.reduce((sum, tally) => sum + tally.acknowledged, 0)
  }

  /** Rows acknowledged in each quarter of a second of the last minute, oldest first. */
  get samples(): readonly number[] {
    return this.#samples
  }

  /** Of the last two seconds. */
  get ratePerSecond(): number {
    const last = this.#samples.slice(-8)
    return last.length === 0
      ? 0
      : last.reduce((sum, rows) => sum + rows, 0) / ((last.length * SAMPLE_MS) / 1000)
  }

  /** The longest time without an acknowledgement, of the writer that waited longest, since `sinceMs` on our clock. */
  longestGapMs(sinceMs?: number): number {
    const nowMs = performance.now()
    return Math.max(...this.tallies.map(tally => tally.longestGap(nowMs, sinceMs).ms))
  }

  /** Whether every writer got an acknowledgement after `sinceMs`. */
  hasWrittenSince(sinceMs: number): boolean {
    return this.tallies.every(tally => tally.latestMs > sinceMs)
  }

  /** How often attempts failed, by code, over all writers. */
  errors(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {}
    for (const tally of this.tallies) {
      for (const [code, times] of Object.entries(tally.summary(performance.now()).errors)) {
        sums[code] = (sums[code] ?? 0) + times
      }
    }
    return sums
  }

  /** Ends after the attempts under way; false when they take longer than `withinMs`. May be called twice. */
  async stop(withinMs = 5_000): Promise<boolean> {
    clearInterval(this.#timer)
    const ended = Promise.all([this.reader.stop(), ...this.#writers.map(({ writer }) => writer.stop())])
    const patience = new AbortController()
    const tooLate = sleep(withinMs, false, { signal: patience.signal }).catch(() => false)
    const inTime = await Promise.race([ended.then(() => true), tooLate])
    patience.abort()
    return inTime
  }

  /** Compares what was acknowledged with what the leader has. Only after a `stop` in time. */
  async check(cluster: Cluster): Promise<LoadVerdict> {
    const verdicts: Verdict[] = []
    for (const { writer, table } of this.#writers) {
      const leader = await cluster.leader()
      verdicts.push(await checkWrites((sql, values) => leader.query(sql, values), writer.tally, table))
    }
    const sum = (of: (verdict: Verdict) => number) =>
      verdicts.reduce((total, verdict) => total + of(verdict), 0)
    return {
      acknowledged: sum(verdict => verdict.acknowledged),
      missing: sum(verdict => verdict.missing.length),
      doubled: sum(verdict => verdict.doubled.length),
      unacknowledged: sum(verdict => verdict.unacknowledged),
    }
  }

  #sample(): void {
    const rows = this.acknowledged
    this.#samples.push(rows - this.#sampledRows)
    this.#sampledRows = rows
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }
}
