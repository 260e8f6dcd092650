// New connections at a steady rate, each inserting one row, half of them in TLS: what HAProxy set-ups answer with error
// 25006 when a write reaches a server in recovery.

import assert from 'node:assert/strict'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Tally } from '../../src/demo/tally.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { tlsParameters } from '../support/certificate.ts'
import { startCluster } from '../support/fixture.ts'
import { makeWorkplace, type Scope } from '../support/workplace.ts'
import { MARGIN, seconds } from './witness.ts'

const ROUNDS = 5
const RATE_PER_SECOND = 50
/**
 * Longer than any outage here. A client that gives up sooner and comes again makes a busy machine do all of it twice: two
 * cores then begin handshakes only, and no row gets through.
 */
const CONNECT_WITHIN_MS = 15_000
/** Of each kind, before a fault and after it: writing works. */
const ROWS = 12
interface Load {
  readonly sessions: number
  readonly ratePerSecond: number
}

/** Where two cores cannot serve the rate, more sessions would only wait for each other. */
export const FULL: Load = { sessions: 6, ratePerSecond: RATE_PER_SECOND / 2 }
/** Many wait at once while nobody leads, and go on together. */
export const CROWD: Load = { sessions: 40, ratePerSecond: RATE_PER_SECOND / 2 }
/** While a member comes back: each connection costs 60 ms of processor time, and two cores have other things to do then. */
const LIGHT: Load = { sessions: 2, ratePerSecond: RATE_PER_SECOND / 25 }

/** Three members with TLS and synchronous commits, three etcd members, one proxy. */
export async function startTlsCluster(scope: Scope): Promise<Cluster> {
  const place = await makeWorkplace(scope)
  const parameters = { synchronous_standby_names: 'ANY 1 (*)', ...(await tlsParameters(place.data)) }
  return (await startCluster(scope, { etcd: 3, members: 3, proxies: 1, parameters })).cluster
}

/** Asks the leader to hand over, and resolves when another one leads. */
export async function switchOver(cluster: Cluster): Promise<void> {
  const old = await cluster.leader()
  const body = JSON.stringify({ leader: old.name })
  const answer = await old.rest('/switchover', {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(30_000),
  })
  assert.equal(answer.code, 200, answer.body)
  await cluster.leader({ not: [old] })
}

/** Kills everything on the leader's host and starts its agent again when another one leads. */
export async function crash(cluster: Cluster): Promise<void> {
  const old = await cluster.leader()
  await old.host.kill()
  await cluster.leader({ not: [old] })
  await old.agent.start()
}

/** What clear-text or TLS sessions saw over all rounds. */
interface Seen {
  rows: number
  readOnly: number
  longestGapMs: number
  readonly errors: Map<string, number>
  /** Attempts of the full load, and how long that was, the outages not counted. */
  attempts: number
  servedMs: number
}

/**
 * Loads the cluster through five faults, fully from before each until writing has been back for some seconds, then by `between`
 * (lightly) until all members are back; no error 25006 may come of it. Returns the figures.
 */
export async function loadThrough(
  cluster: Cluster,
  name: string,
  fault: () => Promise<void>,
  { around = FULL, between = LIGHT }: { readonly around?: Load; readonly between?: Load } = {},
): Promise<string> {
  const table = `loop_${name}`
  const leader = await cluster.leader()
  await createWritesTable(sql => leader.query(sql), table)
  const seen = [newSeen(), newSeen()] as const
  for (let round = 0; round < ROUNDS; round += 1) {
    await underLoad(cluster, table, seen, around, async rowsFlow => {
      await rowsFlow()
      await fault()
      await rowsFlow()
    })
    // What is struck comes back as a standby on its old address: the moment at which a router that trusts addresses goes wrong.
    await underLoad(cluster, table, seen, between, () => cluster.complete(300_000))
  }
  for (const each of seen) {
    assert.equal(each.readOnly, 0, 'a write reached a server in recovery')
    const least = FULL.ratePerSecond / MARGIN
    assert.ok(perSecond(each) >= least, `${perSecond(each)} attempts a second, at least ${least} are a load`)
  }
  return seen.map((each, index) => `${index === 0 ? 'clear' : 'TLS'}: ${print(each)}`).join('; ')
}

function perSecond({ attempts, servedMs }: Seen): number {
  return servedMs > 0 ? Math.round((10_000 * attempts) / servedMs) / 10 : 0
}

function print(seen: Seen): string {
  const { rows, longestGapMs, errors, attempts, servedMs } = seen
  return (
    `${rows} rows, longest gap ${longestGapMs} ms, errors ${JSON.stringify(Object.fromEntries(errors))}, ` +
    `full load ${attempts} attempts in ${seconds(servedMs)} outside outages (${perSecond(seen)}/s)`
  )
}

async function underLoad(
  cluster: Cluster,
  table: string,
  seen: readonly [Seen, Seen],
  load: Load,
  act: (rowsFlow: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  // In clear text the proxy can see what a server says of itself; inside TLS its routing alone must be right.
  const { sessions, ratePerSecond } = load
  const startedMs = performance.now()
  const writers = [{}, { ssl: { rejectUnauthorized: false } }].map(tls =>
    Writer.start({
      target: { ...proxy.write, ...tls },
      table,
      sessions,
      ratePerSecond,
      reconnect: true,
      connectWithinMs: CONNECT_WITHIN_MS,
    }),
  )
  await act(async () => {
    const before = writers.map(({ tally }) => tally.acknowledged)
    await waitFor('rows to flow, in clear text and in TLS', { withinMs: 60_000 }, () =>
      writers.every(({ tally }, index) => tally.acknowledged > (before[index] ?? 0) + ROWS),
    )
  })
  for (const [index, writer] of writers.entries()) {
    const tally = await writer.stop()
    const summary = tally.summary(tally.latestMs)
    const all = seen[index === 0 ? 0 : 1]
    add(all, summary)
    if (load.ratePerSecond < FULL.ratePerSecond) continue
    all.attempts += summary.acknowledged + summary.failed
    // One fault, one outage.
    all.servedMs += tally.latestMs - startedMs - summary.longestGapMs
  }
}

function newSeen(): Seen {
  return { rows: 0, readOnly: 0, longestGapMs: 0, errors: new Map(), attempts: 0, servedMs: 0 }
}

function add(seen: Seen, summary: ReturnType<Tally['summary']>): void {
  seen.rows += summary.acknowledged
  seen.readOnly += summary.readOnlyErrors
  seen.longestGapMs = Math.max(seen.longestGapMs, summary.longestGapMs)
  for (const [code, count] of Object.entries(summary.errors))
    seen.errors.set(code, (seen.errors.get(code) ?? 0) + count)
}
