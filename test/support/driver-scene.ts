// Clients of real drivers through a fault of a cluster, and through a cancelled statement: shared by the long and the short run.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { printSeen, seenBy } from './driver-report.ts'
import { type Driver, type DriverClient, DriverRun } from './drivers.ts'

export type Way = 'write port' | 'read port' | 'read-write' | 'read-only' | 'any'
export type SslMode = DriverClient['sslmode']

const SERVER = 'host(inet_server_addr())'
const READ = `SELECT ${SERVER}`
/** No client is without an answer for longer; measured are 7 s and less. */
const GAP_MAX_MS = 60_000
/** Answers that show that a client works. */
const ENOUGH = 10

const JDBC_OPTIONS: Readonly<Partial<Record<Way, Readonly<Record<string, string>>>>> = {
  'read-write': { targetServerType: 'primary' },
  'read-only': { targetServerType: 'preferSecondary', loadBalanceHosts: 'true' },
}

const isWriter = (name: string) => / (write port of \S+|read-write),/.test(name)

/** Clients of this driver on these ways, through every proxy or straight at the servers; those that write insert a row. */
export function clientsOf(
  cluster: Cluster,
  driver: Driver,
  ways: readonly Way[],
  sslmodes: readonly SslMode[],
): readonly DriverClient[] {
  const named = (where: string, sslmode: SslMode) => {
    const name = `${driver} ${where}, sslmode=${sslmode}`
    const insert = `INSERT INTO driver_rows (client) VALUES ('${name}') RETURNING ${SERVER}`
    return { name, driver, sslmode, sql: isWriter(name) ? insert : READ }
  }
  return ways.flatMap(way =>
    sslmodes.flatMap(sslmode => {
      if (way === 'write port' || way === 'read port') {
        return cluster.proxies.map(proxy => ({
          ...named(`${way} of ${proxy.name}`, sslmode),
          hosts: [way === 'write port' ? proxy.write : proxy.read],
        }))
      }
      const options = driver === 'pgjdbc' ? (JDBC_OPTIONS[way] ?? {}) : { target_session_attrs: way }
      return [{ ...named(way, sslmode), hosts: cluster.members.map(member => member.direct), options }]
    }),
  )
}

/**
 * Runs all clients through `fault` until each has had answers after it; tells what each saw and asserts that none was
 * without an answer for long and that no write through the proxy met a server in recovery.
 */
export async function through(
  t: TestContext,
  cluster: Cluster,
  clients: readonly DriverClient[],
  fault: () => Promise<void>,
): Promise<DriverRun> {
  const leader = await cluster.leader()
  await leader.query('DROP TABLE IF EXISTS driver_rows')
  await leader.query('CREATE TABLE driver_rows (id bigserial, client text)')
  const run = DriverRun.start(clients)
  const answers = (name: string, sinceAt: number) =>
    run.of(name).filter(({ at, server }) => at > sinceAt && server !== undefined).length
  const allWork = (what: string, sinceAt: number) =>
    waitFor(what, { withinMs: 90_000, everyMs: 200 }, async note => {
      const idle = clients.filter(({ name }) => answers(name, sinceAt) < ENOUGH)
      note(`not yet ${idle.map(({ name }) => name).join('; ')} ${run.complaints}`)
      return idle.length === 0
    })
  let faultAt = 0
  try {
    await allWork('all clients to work', 0)
    faultAt = Date.now()
    await fault()
    await cluster.leader({ not: [leader], withinMs: 60_000 })
    await allWork('all clients to work again', Date.now())
  } finally {
    await run.stop()
  }
  for (const { name } of clients) {
    const seen = seenBy(run.of(name), faultAt)
    t.diagnostic(printSeen(name, seen))
    assert.ok(seen.gapMs < GAP_MAX_MS, `${name}: ${seen.gapMs} ms without an answer`)
    if (!name.includes(' write port')) continue
    for (const text of seen.errors.keys()) assert.doesNotMatch(text, /read-only|25006/, name)
  }
  return run
}

/** An ordered change of leader over REST. */
export async function switchOver(cluster: Cluster): Promise<void> {
  const leader = await cluster.leader()
  const body = JSON.stringify({ leader: leader.name })
  const signal = AbortSignal.timeout(60_000)
  const answer = await leader.rest('/switchover', { method: 'POST', body, signal })
  assert.equal(answer.code, 200, answer.body)
}

/** Clients that were told of more rows than there are. */
export async function missingRows(cluster: Cluster, run: DriverRun): Promise<readonly string[]> {
  const leader = await cluster.leader()
  const rows = await leader.query<{ client: string; count: string }>(
    'SELECT client, count(*) AS count FROM driver_rows GROUP BY client',
  )
  const written = new Map(rows.map(({ client, count }) => [client, Number(count)]))
  const told = new Map<string, number>()
  for (const { client, server } of run.attempts) {
    if (server !== undefined && isWriter(client)) told.set(client, (told.get(client) ?? 0) + 1)
  }
  assert.ok(told.size > 0, 'nothing was written')
  return [...told].filter(([client, count]) => (written.get(client) ?? 0) < count).map(([client]) => client)
}

/** Each client runs one long statement and cancels it; asserts that the server says so. */
export async function cancels(t: TestContext, clients: readonly DriverClient[]): Promise<void> {
  const sleepers = clients.map(client => ({ ...client, sql: `SELECT ${SERVER} FROM pg_sleep(60)` }))
  const run = DriverRun.start(sleepers, 'cancel')
  try {
    await waitFor('all to be told', { withinMs: 50_000, everyMs: 100 }, async note => {
      note(`${JSON.stringify(run.attempts)} ${run.complaints}`)
      return run.attempts.length === clients.length
    })
  } finally {
    await run.stop()
  }
  for (const { client, beganAt, at, error, state } of run.attempts) {
    t.diagnostic(`${client}: ${Math.round(at - beganAt)} ms, ${state ?? ''} ${error ?? 'answered'}`)
    assert.match(error ?? '', /canceling statement due to user request/, client)
  }
}
