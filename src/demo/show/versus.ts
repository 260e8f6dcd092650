// `--versus`: the stack that people run today beside ours, on the same machine and the same store, the same fault to both
// leaders at the same instant, the same writers. Each side keeps the numbers that it is deployed with.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { runChild } from '../../platform/child.ts'
import { realClock } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import { checkWrites } from '../checker.ts'
import type { Cluster } from '../cluster.ts'
import type { Member } from '../member.ts'
import type { SqlTarget } from '../sql.ts'
import { READ_ONLY } from '../tally.ts'
import { waitFor } from '../wait.ts'
import { createWritesTable, Writer } from '../writer.ts'
import { type Fault, type FaultName, faults } from './faults.ts'
import { requirePrograms, type Stage, startMembers, type Tell } from './stage.ts'
import { printComparison, type Side } from './versus-table.ts'
import { seconds } from './words.ts'

/** The numbers of the deployment that this compares with: a widely copied article on Patroni with HAProxy. */
const THEIRS = { ttl: 30, loop_wait: 10, retry_timeout: 10 } as const
const THEIR_CHECKS = { intervalMs: 3_000, fall: 3, rise: 2 } as const

const STEADY_MS = 8_000
const BACK_WITHIN_MS = 150_000
/** Writing counts as back when it lasted this long without a pause of a second. */
const SETTLED_MS = 5_000
const AFTERMATH_MS = 5_000
const PAUSE_MS = 1_000
const VERSION_WITHIN_MS = 10_000
const WHOLE_WITHIN_MS = 120_000
/** Longer than our proxy holds a session; whoever is made to wait shows as waiting, not as an error. */
const CONNECT_WITHIN_MS = 15_000

interface Contender {
  readonly name: string
  readonly cluster: Cluster
  readonly target: SqlTarget
  readonly table: string
}

/** One side while it competes; `old` leads until the strike. */
interface Runner extends Contender {
  readonly old: Member
  readonly writer: Writer
}

/** Runs it on a started stage and prints the table. 0 when our side kept its word (nothing lost, no 25006), otherwise 1. */
export async function runVersus(
  stage: Stage,
  name: FaultName,
  tell: Tell,
  signal: AbortSignal,
  say: Tell = line => void process.stdout.write(`${line}\n`),
): Promise<number> {
  await requirePrograms(['patroni', 'haproxy'], 'patroni haproxy')
  const versions = await versionsOf()
  tell(`starting ${versions} beside it: three more servers`)
  const theirs = await stage.besides({
    scope: 'pgsql-seed',
    prefix: 'seed-',
    members: ['patroni', 'patroni', 'patroni'],
    proxies: 0,
    haproxy: THEIR_CHECKS,
    dcs: THEIRS,
  })
  await startMembers(theirs, tell, signal)
  await theirs.startRouters()
  const contenders = contendersOf(stage.cluster, theirs, versions)
  const sides = await compete(contenders, faults[name], tell, signal)
  const [ours] = sides
  tell('the account:')
  const terms = [stage.dcs, THEIRS] as const
  for (const line of printComparison(name, sides, terms, THEIR_CHECKS)) say(line)
  return ours !== undefined && ours.lost === 0 && ours.doubled === 0 && ours.readOnly === 0 ? 0 : 1
}

function contendersOf(ours: Cluster, theirs: Cluster, versions: string): readonly Contender[] {
  const [proxy] = ours.proxies
  const { haproxy } = theirs
  if (proxy === undefined || haproxy === undefined) throw new Error('there is nothing to compare')
  return [
    { name: 'pgherd', cluster: ours, target: proxy.write, table: 'versus_writes' },
    { name: versions, cluster: theirs, target: haproxy.write, table: 'versus_writes' },
  ]
}

async function compete(
  contenders: readonly Contender[],
  fault: Fault,
  tell: Tell,
  signal: AbortSignal,
): Promise<readonly Side[]> {
  const runners = await Promise.all(contenders.map(startWriter))
  await sleep(STEADY_MS, undefined, { signal })
  const strikeMs = performance.now()
  const strikes = runners.map(({ old }) => fault.strike(old))
  for (const { old } of runners) tell(fault.says.replaceAll('NAME', old.name))
  // An order may be answered long after the clients are served again.
  for (const strike of strikes) strike.catch(() => {})
  await Promise.all(runners.map(runner => backAgain(runner, strikeMs, tell, signal)))
  await Promise.all(strikes)
  await Promise.all(runners.map(async ({ old }) => fault.cure?.heal(old)))
  tell('what was struck comes back; the writers go on a little')
  await Promise.all(contenders.map(({ cluster }) => cluster.complete(WHOLE_WITHIN_MS)))
  await sleep(AFTERMATH_MS, undefined, { signal })
  const endMs = performance.now()
  await Promise.all(runners.map(({ writer }) => writer.stop()))
  return Promise.all(runners.map(runner => account(runner, strikeMs, endMs)))
}

async function startWriter(contender: Contender): Promise<Runner> {
  const { cluster, target, table } = contender
  const old = await cluster.leader()
  await createWritesTable(sql => old.query(sql), table)
  const load = { sessions: 4, ratePerSecond: 40, reconnect: true, connectWithinMs: CONNECT_WITHIN_MS }
  return { ...contender, old, writer: Writer.start({ target, table, ...load }) }
}

async function backAgain(runner: Runner, strikeMs: number, tell: Tell, signal: AbortSignal): Promise<void> {
  const { name, cluster, old, writer } = runner
  await cluster.leader({ not: [old], withinMs: BACK_WITHIN_MS })
  const outageMs = await outageOf(name, writer, strikeMs, signal)
  tell(`${name} writes again: the outage was ${seconds(outageMs)}`)
}

/** Waits until writing has settled; the longest pause since the strike is the outage. */
async function outageOf(
  name: string,
  writer: Writer,
  strikeMs: number,
  signal: AbortSignal,
): Promise<number> {
  const { tally } = writer
  await waitFor(`${name} to write again`, { withinMs: BACK_WITHIN_MS, everyMs: 100, signal }, note => {
    const nowMs = performance.now()
    note(`nothing acknowledged for ${seconds(nowMs - tally.latestMs)}`)
    return nowMs - strikeMs > SETTLED_MS && tally.longestGap(nowMs, nowMs - SETTLED_MS).ms < PAUSE_MS
  })
  return tally.longestGap(performance.now(), strikeMs).ms
}

/** Errors before the strike do not count: HAProxy believes every server to be fit until its first checks are over. */
async function account(runner: Runner, strikeMs: number, endMs: number): Promise<Side> {
  const { name, cluster, table, writer } = runner
  const { tally } = writer
  const leader = await cluster.leader()
  const verdict = await checkWrites((sql, values) => leader.query(sql, values), tally, table)
  const failures = tally.failures.filter(({ atMs }) => atMs >= strikeMs)
  const others = failures.filter(({ code }) => code !== READ_ONLY)
  return {
    name,
    outageMs: tally.longestGap(endMs, strikeMs).ms,
    readOnly: failures.length - others.length,
    refused: others.filter(({ phase }) => phase === 'connect').length,
    broken: others.filter(({ phase }) => phase === 'insert').length,
    lost: verdict.missing.length,
    doubled: verdict.doubled.length,
    acknowledged: verdict.acknowledged,
  }
}

async function versionsOf(): Promise<string> {
  const first = async (program: string, flag: string) => {
    const { stdout } = await runChild(program, [flag], { by: Deadline.in(realClock, VERSION_WITHIN_MS) })
    return /(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? ''
  }
  // Where administrators' programs lie is not in every user's PATH.
  process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`
  const [patroni, haproxy] = await Promise.all([first('patroni', '--version'), first('haproxy', '-v')])
  return `Patroni ${patroni} + HAProxy ${haproxy}`
}
