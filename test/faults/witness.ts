// A load and its witnesses around a fault: a writer through a proxy, as an application is one, and a prober that asks every
// proxy and every server's own port. At the end they are compared with what the final leader has.

import assert from 'node:assert/strict'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { TestContext } from 'node:test'
import { checkWrites, type Verdict } from '../../src/demo/checker.ts'
import type { Cluster } from '../../src/demo/cluster.ts'
import {
  type Acknowledgement,
  Prober,
  type StaleAcknowledgement,
  staleAcknowledgements,
} from '../../src/demo/prober.ts'
import { type Gap, READ_ONLY, type Tally } from '../../src/demo/tally.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { KeyWatch, type Vacancy } from './key-watch.ts'

/** Timing is asserted with this margin: machines that are busy with other things stall. */
export const MARGIN = 5

const STEADY_ROWS = 50
/** Looks at a lease may be rare while a raft leader is elected or a machine is busy. */
const END_KNOWN_TO_MS = 1_000
const BACK_WITHIN_MS = 60_000

/** What came of it. */
export interface Report {
  readonly verdict: Verdict
  readonly tally: Tally
  /** The longest time without an acknowledged row since the fault. */
  readonly outage: Gap
  /** Acknowledgements of an older timeline that came through a proxy after the first of a newer one, wherever that was seen. */
  readonly staleThroughProxies: readonly StaleAcknowledgement[]
  /** All acknowledgements that came through a proxy. */
  readonly throughProxies: readonly Acknowledgement[]
  /**
   * Acknowledgements that came through a proxy while nobody led: from the instant at which etcd may have dropped the lease, or
   * took the key away, until the key was taken again.
   */
  readonly leaderlessThroughProxies: readonly Acknowledgement[]
  /** When nobody held the key, as a watch of the test's own saw it. */
  readonly vacancies: readonly Vacancy[]
  /** The longest time for which this process stood still: what came then was read so much later. */
  readonly stalledMs: number
  /** The first of these lists, for the servers' own ports. */
  readonly staleDirect: readonly StaleAcknowledgement[]
  /** What an abandoned server went on to commit on its own port, from the end of its lease on. */
  readonly window: Window
}

/** Commits on a server's own port after the leader key was seen to go, and how long after that the last one was. */
interface Window {
  readonly commits: number
  readonly ms: number
}

let tables = 0

export class Witness {
  readonly cluster: Cluster
  readonly writer: Writer
  readonly prober: Prober
  readonly #keys: KeyWatch
  readonly #table: string
  readonly #stalls = monitorEventLoopDelay({ resolution: STALLS_EVERY_MS })

  private constructor(cluster: Cluster, writer: Writer, prober: Prober, table: string) {
    this.cluster = cluster
    this.#keys = new KeyWatch(cluster)
    this.writer = writer
    this.prober = prober
    this.#table = table
    this.#stalls.enable()
  }

  /** Starts writing and resolves when rows flow steadily. The cluster needs a proxy; the writer uses the first one. */
  static async start(cluster: Cluster): Promise<Witness> {
    const leader = await cluster.leader()
    const [proxy] = cluster.proxies
    assert.ok(proxy, 'there is a proxy to write through')
    tables += 1
    const table = `writes_${tables}`
    await createWritesTable(sql => leader.query(sql), table)
    const doors = cluster.proxies.map(({ name, write }) => ({ name, direct: write }))
    const prober = await Prober.start(leader, [...cluster.members, ...doors])
    const writer = Writer.start({ target: proxy.write, table })
    const witness = new Witness(cluster, writer, prober, table)
    await waitFor('rows to flow', { withinMs: 15_000 }, note => {
      note(JSON.stringify(writer.tally.summary(performance.now())))
      return writer.tally.acknowledged >= STEADY_ROWS
    })
    return witness
  }

  /** Resolves to the instant of the first row that was acknowledged at or after `sinceMs`. */
  async writesAgain(sinceMs: number): Promise<number> {
    return waitFor('a row to be acknowledged', { withinMs: BACK_WITHIN_MS, everyMs: 10 }, note => {
      note(JSON.stringify(this.writer.tally.summary(performance.now())))
      return this.writer.tally.firstAfter(sinceMs)
    })
  }

  /** Ends the load and compares. The outage is the longest gap after `sinceMs`. */
  async finish(sinceMs: number): Promise<Report> {
    const endedMs = performance.now()
    const tally = await this.writer.stop()
    const records = await this.prober.stop()
    this.#stalls.disable()
    const stalledMs = Math.max(0, this.#stalls.max / 1_000_000 - STALLS_EVERY_MS)
    await this.#keys.stop()
    const leader = await this.cluster.leader()
    const verdict = await checkWrites((sql, values) => leader.query(sql, values), tally, this.#table)
    const proxies = new Set(this.cluster.proxies.map(({ name }) => name))
    const stale = staleAcknowledgements(records)
    const { vacancies } = this.#keys
    const isLeaderless = ({ atMs }: Acknowledgement) =>
      vacancies.some(vacancy => atMs > nobodyLedFromMs(vacancy, stalledMs) && atMs < vacancy.untilMs)
    const throughProxies = records.filter(({ member }) => proxies.has(member))
    return {
      verdict,
      tally,
      throughProxies,
      leaderlessThroughProxies: throughProxies.filter(isLeaderless),
      vacancies,
      stalledMs,
      outage: tally.longestGap(endedMs, sinceMs),
      staleThroughProxies: stale.filter(({ member }) => proxies.has(member)),
      staleDirect: stale.filter(({ member }) => !proxies.has(member)),
      window: windowAfter(
        vacancies,
        records.filter(({ member }) => !proxies.has(member)),
      ),
    }
  }
}

/** What was passed on in time may be read here so much later, and by as much more as this process stood still itself. */
const READ_WITHIN_MS = 100
const STALLS_EVERY_MS = 20

/** The key goes some time after its lease has ended, so its end counts where it is known. */
function nobodyLedFromMs({ fromMs, leaseEndMs }: Vacancy, stalledMs: number): number {
  return leaseEndMs === undefined ? fromMs : Math.min(fromMs, leaseEndMs + READ_WITHIN_MS + stalledMs)
}

/** Nothing when the key never went. Only the timeline of that moment counts: it is the one that was given up. */
function windowAfter(vacancies: readonly Vacancy[], direct: readonly Acknowledgement[]): Window {
  const goneMs = vacancies[0]?.fromMs ?? Number.POSITIVE_INFINITY
  const old = direct.findLast(({ atMs }) => atMs <= goneMs)?.timeline
  const late = direct.filter(({ timeline, atMs }) => timeline === old && atMs > goneMs)
  const last = late.at(-1)
  return { commits: late.length, ms: last === undefined ? 0 : last.atMs - goneMs }
}

/** What holds after every fault while commits wait for a standby: nothing lost, nothing doubled, no old epoch through a proxy. */
export function assertSafe(report: Report): void {
  const { verdict, tally, staleThroughProxies } = report
  assert.deepEqual(verdict.missing, [], 'acknowledged rows are missing')
  assert.deepEqual(verdict.doubled, [], 'rows are there twice')
  assert.deepEqual(staleThroughProxies, [], 'an older epoch was acknowledged through a proxy')
  assert.equal(tally.count(READ_ONLY), 0, 'a write reached a server in recovery')
}

/**
 * After the end of a lease: not one commit through a proxy from the instant at which etcd may have dropped the lease, by its own
 * word of the time that was left, until the key was taken again; and, however late etcd was, not one of the old timeline
 * `leaseMs` after `silentMs`, since when its holder could renew nothing. The first key to go is the one that is meant.
 */
export function assertNothingWithoutLeader(report: Report, silentMs: number, leaseMs: number): void {
  const { throughProxies, vacancies, leaderlessThroughProxies } = report
  assert.ok(vacancies.length > 0, 'the watch saw the key go: without that nothing is compared')
  const endMs = vacancies[0]?.leaseEndMs
  assert.ok(endMs !== undefined, 'etcd told the time that was left')
  assert.ok(
    endMs > silentMs && endMs < silentMs + leaseMs + END_KNOWN_TO_MS,
    `${endMs} is no end of that lease`,
  )
  assert.deepEqual(leaderlessThroughProxies, [], 'acknowledged through a proxy after the lease had ended')
  const old = throughProxies.findLast(({ atMs }) => atMs <= silentMs)?.timeline
  assert.ok(old !== undefined, 'something was acknowledged through a proxy before')
  const late = throughProxies.filter(({ timeline, atMs }) => timeline === old && atMs > silentMs + leaseMs)
  assert.deepEqual(late, [], 'acknowledged through a proxy after etcd may have dropped the lease')
}

/** Prints the figures, and asserts the outage with a margin of five over what it should take. */
export function tellOutage(t: TestContext, report: Report, shouldTakeMs: number): void {
  const { outage, verdict, staleDirect, window, tally } = report
  const leftMs = leftAtLastCommitMs(report)
  const lateMs = Math.max(0, ...staleDirect.map(({ lateByMs }) => lateByMs))
  t.diagnostic(
    `outage ${seconds(outage.ms)}; ${leftMs === undefined ? '' : `last commit through a proxy ${seconds(leftMs)} before the lease may have ended (longest stall here ${seconds(report.stalledMs)}); `}${verdict.acknowledged} rows acknowledged, ${verdict.missing.length} missing, ` +
      `${verdict.doubled.length} doubled; on the direct port ${window.commits} commits after the key had gone` +
      `${window.commits === 0 ? '' : ` within ${seconds(window.ms)}`}, ${staleDirect.length} after the new epoch's first` +
      `${staleDirect.length === 0 ? '' : `, the last ${seconds(lateMs)} late`}; errors ${errorsOf(tally)}`,
  )
  assert.ok(outage.ms < shouldTakeMs * MARGIN, `writing was away for ${seconds(outage.ms)}`)
}

/** How long before the end of the lease the last commit came through a proxy; undefined when no lease ended. */
function leftAtLastCommitMs({ vacancies, throughProxies }: Report): number | undefined {
  const [vacancy] = vacancies
  const last = throughProxies.findLast(({ atMs }) => atMs < (vacancy?.untilMs ?? 0))
  if (vacancy?.leaseEndMs === undefined || last === undefined) return undefined
  return vacancy.leaseEndMs - last.atMs
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function errorsOf(tally: Tally): string {
  const { errors } = tally.summary(performance.now())
  return (
    Object.entries(errors)
      .map(([code, count]) => `${code} ${count}`)
      .join(', ') || 'none'
  )
}
