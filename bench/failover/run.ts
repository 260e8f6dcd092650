// One fault under a writer and a crowd of idle sessions, as the application and the proxy saw it.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Router } from '../../src/demo/router.ts'
import { endQuickly, type SqlTarget } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { type FaultKind, mend, strike } from './faults.ts'

/** Everything in milliseconds. */
export interface Run {
  readonly kind: FaultKind
  readonly run: number
  /** From the fault to the first row that was acknowledged after the interruption. */
  readonly backMs: number
  /** The longest time without an acknowledged row. */
  readonly stallMs: number
  /** From the event that retired the leader to its last session cut, and how many there were; undefined when none was left. */
  readonly cut: { readonly ms: number; readonly sessions: number } | undefined
  /** The proxy's own account of a change of leader, in seconds. */
  readonly phases: Readonly<Record<string, number>> | undefined
  /** Rows that were not acknowledged. */
  readonly failed: number
}

const TABLE = 'bench_failover'
const STEADY_ROWS = 50
const BACK_WITHIN_MS = 60_000
/** What the proxy knows of a change of leader is complete soon after it. */
const ACCOUNT_AFTER_MS = 1_500
const RATE_PER_SECOND = 200

export async function runOnce(
  cluster: Cluster,
  { kind, run, sessions }: { readonly kind: FaultKind; readonly run: number; readonly sessions: number },
  by: AbortSignal,
): Promise<Run> {
  const [proxy] = cluster.proxies
  if (proxy === undefined) throw new Error('the cluster has no proxy')
  const leader = await cluster.leader({ signal: by })
  await createWritesTable(sql => leader.query(sql), TABLE)
  const crowd = await idleSessions(proxy.write, sessions)
  const writer = Writer.start({ target: proxy.write, table: TABLE, ratePerSecond: RATE_PER_SECOND })
  try {
    await waitFor(
      'rows to flow',
      { withinMs: BACK_WITHIN_MS, signal: by },
      () => writer.tally.acknowledged >= STEADY_ROWS,
    )
    // A cluster that has just come up names one a turn later; until then a switchover is refused.
    await waitFor('a synchronous standby', { withinMs: BACK_WITHIN_MS, signal: by }, async () =>
      (await leader.rest('/cluster')).body.includes('sync_standby'),
    )
    const lastEvent = (await eventsOf(proxy)).at(-1)?.id ?? 0
    const struckMs = performance.now()
    await strike(kind, leader)
    if (kind !== 'postmaster') await cluster.leader({ not: [leader], signal: by })
    await waitFor('rows after the fault', { withinMs: BACK_WITHIN_MS, signal: by }, () => {
      const { ms, toMs } = writer.tally.longestGap(performance.now(), struckMs)
      return ms > 0 && writer.tally.firstAfter(toMs + 500) !== undefined
    })
    await sleep(ACCOUNT_AFTER_MS)
    const gap = writer.tally.longestGap(performance.now(), struckMs)
    const events = (await eventsOf(proxy)).filter(({ id }) => id > lastEvent)
    const tally = await writer.stop()
    await mend(kind, cluster, leader, by)
    return {
      kind,
      run,
      backMs: gap.toMs - struckMs,
      stallMs: gap.ms,
      cut: cutOf(events),
      phases: events.find(event => event.kind === 'failover')?.facts.seconds,
      failed: tally.summary(performance.now()).failed,
    }
  } finally {
    await writer.stop()
    await Promise.all(crowd.map(endQuickly))
  }
}

interface ProxyEvent {
  readonly id: number
  readonly kind: string
  readonly facts: {
    readonly sessions_cut?: number
    readonly cut_ms?: number
    /** Of a failover: its phases. */
    readonly seconds?: Readonly<Record<string, number>>
  }
}

function cutOf(events: readonly ProxyEvent[]): Run['cut'] {
  const facts = events.find(
    ({ kind, facts: { sessions_cut = 0 } }) => kind === 'retired' && sessions_cut > 0,
  )?.facts
  return facts === undefined ? undefined : { ms: facts.cut_ms ?? 0, sessions: facts.sessions_cut ?? 0 }
}

async function eventsOf(proxy: Router): Promise<readonly ProxyEvent[]> {
  const answer = await fetch(`http://${proxy.host.address}:${proxy.ports.admin}/status`, {
    signal: AbortSignal.timeout(5_000),
  })
  const { events } = (await answer.json()) as { readonly events: readonly ProxyEvent[] }
  return events
}

async function idleSessions(target: SqlTarget, count: number): Promise<readonly pg.Client[]> {
  const crowd: pg.Client[] = []
  for (let number = 0; number < count; number += 1) {
    const client = new pg.Client({ ...target, database: 'postgres', connectionTimeoutMillis: 5_000 })
    client.on('error', () => {})
    await client.connect()
    crowd.push(client)
  }
  return crowd
}
