// What clients see of planned switchovers: shared by the short and the long run.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from '../../src/demo/cluster.ts'
import { serverBinDir } from '../../src/demo/member.ts'
import { queryOnce, type SqlTarget } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import type { Fixture } from '../support/fixture.ts'
import { runProgram } from '../support/run-program.ts'

const CONNECT_MS = 5_000
const TRANSACTION_MS = 1_500

/** What was seen by all clients of a run. */
export interface Seen {
  connects: number
  readonly failedConnects: string[]
  transactions: number
  readonly abortedTransactions: string[]
  ended: number
  readonly otherEnds: string[]
  /** Of pgbench: transactions, runs that ended early, and every error that was not the end of an idle session. */
  readonly bench: { transactions: number; endedRuns: number; readonly errors: string[] }
}

export function newSeen(): Seen {
  return {
    connects: 0,
    failedConnects: [],
    transactions: 0,
    abortedTransactions: [],
    ended: 0,
    otherEnds: [],
    bench: { transactions: 0, endedRuns: 0, errors: [] },
  }
}

/** A target in clear text and in TLS, in turn. */
function* inTurn(target: SqlTarget): Generator<SqlTarget, never> {
  for (;;) {
    yield target
    yield { ...target, ssl: { rejectUnauthorized: false } }
  }
}

function clientOf(target: SqlTarget): pg.Client {
  const { host, port, user, password, ssl } = target
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_MS,
    ...(ssl === undefined ? {} : { ssl }),
  })
  client.on('error', () => {})
  return client
}

/** Clients that connect and leave, so many in a second, to these targets in turn, until told to stop. */
export async function connecting(
  targets: Iterable<SqlTarget>,
  perSecond: number,
  seen: Seen,
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<Promise<void>>()
  for (const next of targets) {
    if (signal.aborted) break
    const one = connectOnce(next, seen).finally(() => running.delete(one))
    running.add(one)
    await sleep(1000 / perSecond)
  }
  await Promise.all(running)
}

async function connectOnce(target: SqlTarget, seen: Seen): Promise<void> {
  const client = clientOf(target)
  seen.connects += 1
  try {
    await client.connect()
  } catch (error) {
    seen.failedConnects.push(String(error))
    return
  }
  // From here on it is an idle session that may be ended between two statements.
  await client.end().catch(() => {})
}

/** An idle session of a pool, opened again whenever it is ended; notes how. */
async function pooled(target: SqlTarget, seen: Seen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const client = clientOf(target)
    const ended = new Promise<string>(resolve => {
      client.once('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message))
      client.once('end', () => resolve('end'))
    })
    try {
      await client.connect()
    } catch (error) {
      seen.failedConnects.push(String(error))
      await sleep(100)
      continue
    }
    const how = await Promise.race([ended, untilAborted(signal)])
    if (how === '57P01') seen.ended += 1
    else if (how !== 'aborted') seen.otherEnds.push(how)
    await client.end().catch(() => {})
  }
}

/** Transactions that are shorter than the drain, one after the other, each in a session of its own. */
async function transacting(target: SqlTarget, seen: Seen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const client = clientOf(target)
    try {
      await client.connect()
    } catch (error) {
      seen.failedConnects.push(String(error))
      await sleep(100)
      continue
    }
    let hasBegun = false
    try {
      await client.query('BEGIN')
      hasBegun = true
      await client.query('CREATE TEMPORARY TABLE t (id int) ON COMMIT DROP')
      await client.query(`SELECT pg_sleep(${TRANSACTION_MS / 1000})`)
      await client.query('INSERT INTO t VALUES (1)')
      await client.query('COMMIT')
      seen.transactions += 1
    } catch (error) {
      if (hasBegun) seen.abortedTransactions.push(String(error))
    }
    await client.end().catch(() => {})
  }
}

/** A short transaction, forty times a second: what saturates the machine would measure the machine. */
const BENCH_SCRIPT = 'BEGIN;\nINSERT INTO bench VALUES (1);\nEND;\n'
/** The end of an idle session is found when the next transaction is to begin, whose command is the first. */
const IDLE_END = /^pgbench: error: (?:client \d+ (?:script 0 )?aborted in command 0\b|Run was aborted)/

/** pgbench, begun anew whenever it has ended. */
async function benching(target: SqlTarget, script: string, seen: Seen, signal: AbortSignal): Promise<void> {
  const pgbench = path.join(await serverBinDir(), 'pgbench')
  const env = {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGSSLMODE: target.ssl === undefined ? 'disable' : 'require',
    PGCONNECT_TIMEOUT: String(CONNECT_MS / 1000),
  }
  while (!signal.aborted) {
    const ran = await runProgram(
      [pgbench, '-n', '-c', '2', '-T', '5', '-R', '40', '-f', script, 'postgres'],
      { env },
    )
    seen.bench.transactions += Number(/actually processed: (\d+)/.exec(ran.stdout)?.[1] ?? 0)
    if (ran.code !== 0) seen.bench.endedRuns += 1
    const errors = ran.stderr.split('\n').filter(line => line.startsWith('pgbench: error:'))
    seen.bench.errors.push(...errors.filter(line => !IDLE_END.test(line)))
  }
}

function untilAborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise(resolve => signal.addEventListener('abort', () => resolve('aborted'), { once: true }))
}

async function switchOverUntilWork(cluster: Cluster, seen: Seen): Promise<void> {
  const old = await cluster.leader()
  const body = JSON.stringify({ leader: old.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(60_000) })
  assert.equal(answer.code, 200, answer.body)
  await cluster.leader({ not: [old] })
  await cluster.complete(120_000)
  const before = seen.transactions
  await waitFor('transactions to go on', { withinMs: 60_000 }, note => {
    note(String(seen.transactions))
    return seen.transactions > before
  })
}

/**
 * Switches over while a transaction sleeps for `sleepSeconds`. Resolves to its SQLSTATE, undefined when it was committed, and
 * to how long the leadership took to change.
 */
export async function switchOverDuring(
  cluster: Cluster,
  sleepSeconds: number,
): Promise<{ readonly state: string | undefined; readonly tookMs: number }> {
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  const old = await cluster.leader()
  const client = clientOf(proxy.write)
  await client.connect()
  await client.query('BEGIN')
  const end = client
    .query(`SELECT pg_sleep(${sleepSeconds})`)
    .then(() => client.query('COMMIT'))
    .then(() => undefined)
    .catch((error: Error & { code?: string }) => error.code ?? error.message)
  const startedAtMs = performance.now()
  const body = JSON.stringify({ leader: old.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(120_000) })
  assert.equal(answer.code, 200, answer.body)
  await cluster.leader({ not: [old], withinMs: 60_000 })
  const tookMs = performance.now() - startedAtMs
  const state = await end
  await client.end().catch(() => {})
  await cluster.complete(120_000)
  return { state, tookMs }
}

/** Switches over `times` times under load; asserts what clients may expect. */
export async function switchOverUnderLoad(
  t: TestContext,
  { cluster, work }: Pick<Fixture, 'cluster' | 'work'>,
  times: number,
): Promise<void> {
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  const seen = newSeen()
  const script = path.join(work.data, 'bench.sql')
  await writeFile(script, BENCH_SCRIPT)
  const [plain, encrypted] = [proxy.write, { ...proxy.write, ssl: { rejectUnauthorized: false } }]
  await queryOnce(plain, 'CREATE TABLE IF NOT EXISTS bench (id int)')
  const stopping = new AbortController()
  const { signal } = stopping
  const load = Promise.all([
    connecting(inTurn(proxy.write), 20, seen, signal),
    ...Array.from({ length: 6 }, (_, index) => pooled(index % 2 === 0 ? plain : encrypted, seen, signal)),
    ...Array.from({ length: 4 }, (_, index) =>
      transacting(index % 2 === 0 ? plain : encrypted, seen, signal),
    ),
    ...[plain, encrypted].map(target => benching(target, script, seen, signal)),
  ])
  try {
    await sleep(1000)
    for (let turn = 0; turn < times; turn += 1) await switchOverUntilWork(cluster, seen)
  } finally {
    stopping.abort()
    await load
  }
  t.diagnostic(
    `${times} switchovers: ${seen.connects} connects, ${seen.failedConnects.length} failed; ${seen.transactions} transactions of ${TRANSACTION_MS} ms, ` +
      `${seen.abortedTransactions.length} aborted; ${seen.ended} idle sessions ended with 57P01, ${seen.otherEnds.length} otherwise; ` +
      `pgbench: ${seen.bench.transactions} transactions in whole runs, ${seen.bench.endedRuns} runs ended between two of them`,
  )
  assert.deepEqual(seen.failedConnects, [])
  assert.deepEqual(seen.abortedTransactions, [])
  assert.deepEqual(seen.otherEnds, [])
  assert.deepEqual(seen.bench.errors, [])
  assert.ok(seen.bench.endedRuns > 0 && seen.bench.transactions > 0)
  assert.ok(seen.ended >= times, `${seen.ended} idle sessions were ended`)
}
