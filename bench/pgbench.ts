// One run of pgbench: how it is called, and what its report and its sampled log say.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import type { SqlTarget } from '../src/demo/sql.ts'
import { runChild } from '../src/platform/child.ts'
import { realClock } from '../src/platform/clock.ts'
import { Deadline } from '../src/platform/deadline.ts'

/** What one run of pgbench said. */
export interface PgbenchResult {
  readonly transactions: number
  /** Transactions a second, connecting left out. */
  readonly tps: number
  /** Microseconds of the sampled transactions. */
  readonly latenciesUs: readonly number[]
}

/** How to run it. */
export interface PgbenchRun {
  readonly target: SqlTarget
  readonly clients: number
  readonly durationSeconds: number
  /** Where the tools of the server lie. */
  readonly binDir: string
  /** libpq's word; default: disable. */
  readonly sslmode?: string
  /** For the log of sampled transactions; must exist. */
  readonly scratch: string
  readonly signal: AbortSignal
}

const DATABASE = 'postgres'
const SAMPLED = 0.05
const FILL_WITHIN_MS = 300_000
const GRACE_MS = 30_000
/** More threads than cores would measure the scheduler. */
const THREADS_MAX = 2

/** Makes pgbench's tables. Rejects with pgbench's own words. */
export async function fill(
  run: Pick<PgbenchRun, 'target' | 'binDir' | 'signal'>,
  scale: number,
): Promise<void> {
  await pgbench(run, ['-i', '-q', '-s', String(scale)], FILL_WITHIN_MS)
}

/** Runs the built-in select-only script with prepared statements. Rejects when a transaction failed. */
export async function selectOnly(run: PgbenchRun): Promise<PgbenchResult> {
  const directory = await mkdtemp(path.join(run.scratch, 'pgbench-'))
  try {
    const threads = Math.min(run.clients, THREADS_MAX)
    const load = ['-n', '-S', '-M', 'prepared', '-c', String(run.clients), '-j', String(threads)]
    const log = ['--log', `--log-prefix=${path.join(directory, 'log')}`, `--sampling-rate=${SAMPLED}`]
    const words = [...load, '-T', String(run.durationSeconds), ...log]
    const report = await pgbench(run, words, run.durationSeconds * 1000 + GRACE_MS)
    return { ...readReport(report), latenciesUs: await readLogs(directory) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Copies pgbench's largest table out again and again for about so many seconds. */
export async function copyOut(
  run: Pick<PgbenchRun, 'target' | 'binDir' | 'signal'>,
  seconds: number,
): Promise<{ readonly bytes: number; readonly tookSeconds: number }> {
  const { host, port, user, password } = run.target
  const size =
    'SELECT sum(octet_length(a::text) - 2 + 1) FROM (SELECT (aid, bid, abalance, filler) AS a FROM pgbench_accounts) AS rows'
  const psql = async (sql: string, out: readonly string[]) => {
    const where = ['-X', '-q', '-A', '-t', '-h', host, '-p', String(port), '-U', user, '-d', DATABASE]
    const result = await runChild(path.join(run.binDir, 'psql'), [...where, ...out, '-c', sql], {
      by: Deadline.in(realClock, FILL_WITHIN_MS),
      env: { PATH: process.env['PATH'], PGPASSWORD: password, PGSSLMODE: 'disable' },
      signal: run.signal,
    })
    if (result.code !== 0) throw new Error(`psql to ${host}:${port}: ${result.stderr.trim()}`)
    return result.stdout.trim()
  }
  const bytesEach = Number(await psql(size, []))
  const startedAtMs = realClock.monotonicMs()
  let copies = 0
  let tookSeconds = 0
  while (tookSeconds < seconds) {
    await psql('COPY pgbench_accounts TO STDOUT', ['-o', '/dev/null'])
    copies += 1
    tookSeconds = (realClock.monotonicMs() - startedAtMs) / 1000
  }
  return { bytes: copies * bytesEach, tookSeconds }
}

/** The figures of pgbench's report. Throws when it is none, or tells of failed transactions. */
export function readReport(report: string): { readonly transactions: number; readonly tps: number } {
  const transactions = /^number of transactions actually processed: (\d+)/m.exec(report)?.[1]
  const tps = /^tps = ([\d.]+) \(without initial connection time\)/m.exec(report)?.[1]
  const failed = /^number of failed transactions: (\d+)/m.exec(report)?.[1] ?? '0'
  if (transactions === undefined || tps === undefined) throw new Error(`pgbench said: ${report}`)
  if (failed !== '0') throw new Error(`${failed} transactions failed: ${report}`)
  return { transactions: Number(transactions), tps: Number(tps) }
}

/** Microseconds of each transaction in a log: client, transaction, time, ... */
export function readLog(text: string): readonly number[] {
  return text
    .split('\n')
    .map(line => Number(line.split(' ')[2]))
    .filter(latencyUs => Number.isFinite(latencyUs))
}

async function readLogs(directory: string): Promise<readonly number[]> {
  const files = await readdir(directory)
  const texts = await Promise.all(files.map(file => readFile(path.join(directory, file), 'utf8')))
  return texts.flatMap(readLog)
}

async function pgbench(
  run: Pick<PgbenchRun, 'target' | 'binDir' | 'signal' | 'sslmode'>,
  words: readonly string[],
  withinMs: number,
): Promise<string> {
  const { host, port, user, password } = run.target
  const where = ['-h', host, '-p', String(port), '-U', user, DATABASE]
  const result = await runChild(path.join(run.binDir, 'pgbench'), [...words, ...where], {
    by: Deadline.in(realClock, withinMs),
    env: {
      PATH: process.env['PATH'],
      PGPASSWORD: password,
      PGCONNECT_TIMEOUT: '5',
      PGSSLMODE: run.sslmode ?? 'disable',
    },
    signal: run.signal,
  })
  run.signal.throwIfAborted()
  if (result.code === 0) return result.stdout
  const reason = result.timedOut ? `was not done after ${withinMs / 1000} s` : result.stderr.trim()
  throw new Error(`pgbench to ${host}:${port}: ${reason}`)
}
