// The life of one real server: made, found again, stopped in every way, crashed.

import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { realClock } from '../../src/platform/clock.ts'
import { familyOf } from '../../src/postgres/family.ts'
import { tlsParameters } from '../support/certificate.ts'
import { connectTo, factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
let pg1: Member
const HELD_UP_MS = 1_000

test('bootstrap ends with a running primary, its roles and the system identifier', async () => {
  pg1 = await rig.member('pg1')
  const systemId = await pg1.server.bootstrap(AbortSignal.timeout(60_000))
  const facts = await factsOf(pg1)
  assert.equal(facts.role, 'primary')
  assert.equal(facts.systemId, systemId)
  assert.equal(facts.timeline, 1)
  assert.equal(Math.floor(facts.serverVersion / 10000), 15)
  assert.match(facts.postmasterStartTime, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d$/)
  assert.ok((facts.writeLsn ?? 0n) > 0n)
  const roles = await sql(
    pg1,
    "SELECT rolname, rolreplication, rolsuper FROM pg_roles WHERE rolname !~ '^pg_'",
  )
  assert.deepEqual(roles.map(row => `${row['rolname']} ${row['rolreplication']} ${row['rolsuper']}`).sort(), [
    'postgres t t',
    'repl t f',
    'rewinder f f',
  ])
})

test('the cluster has checksums, UTF8 and C.UTF-8 where the configuration says nothing', async () => {
  const [row] = await sql(
    pg1,
    `SELECT current_setting('data_checksums') AS checksums,
    current_setting('server_encoding') AS encoding, datcollate FROM pg_database WHERE datname = 'postgres'`,
  )
  assert.deepEqual(row, { checksums: 'on', encoding: 'UTF8', datcollate: 'C.UTF-8' })
})

test('controlled parameters stand on the command line, where ALTER SYSTEM does not reach', async () => {
  await sql(pg1, 'ALTER SYSTEM SET max_connections = 77')
  const [row] = await sql(pg1, "SELECT source, setting FROM pg_settings WHERE name = 'max_connections'")
  assert.deepEqual(row, { source: 'command line', setting: '40' })
  await sql(pg1, 'ALTER SYSTEM RESET max_connections')
})

test('password file and configuration are readable by their owner alone', async () => {
  const { dataDir } = pg1.config.postgres
  const passfiles = (await readdir(rig.directory)).filter(name => name.endsWith('.pgpass'))
  assert.equal(passfiles.length, 1)
  const paths = ['postgresql.conf', 'pg_hba.conf'].map(name => join(dataDir, name))
  for (const path of [...paths, ...passfiles.map(name => join(rig.directory, name))]) {
    assert.equal((await stat(path)).mode & 0o777, 0o600, path)
  }
})

test('no password stands in the log of the server', async () => {
  const log = await readFile(`${pg1.config.postgres.dataDir}.log`, 'utf8')
  for (const { password } of [pg1.config.postgres.superuser, pg1.config.postgres.replication]) {
    assert.ok(password !== undefined && !log.includes(password))
  }
})

test('an agent that comes back takes over the running server and does not restart it', async () => {
  const before = await factsOf(pg1)
  const pid = (await pg1.server.status(within(5000))).postmasterPid
  await pg1.server.close()
  const again = rig.build(pg1.config, pg1.settings)
  const status = await again.server.status(within(5000))
  assert.equal(status.process, 'running')
  assert.equal(status.postmasterPid, pid)
  assert.equal(status.facts?.postmasterStartTime, before.postmasterStartTime)
  pg1 = again
})

test('a server that lets only TLS in is reached by TLS, unless that is forbidden', async () => {
  const { dataDir, superuser } = pg1.config.postgres
  const strict = {
    ...pg1.settings,
    parameters: { ...pg1.settings.parameters, ...(await tlsParameters(dataDir)) },
    pgHba: ['hostssl all all 127.0.0.1/32 scram-sha-256'],
  }
  assert.equal(await pg1.server.configure(strict, within(5000)), false)
  const again = rig.build(pg1.config, strict)
  assert.equal((await factsOf(again)).role, 'primary')
  const plain = { ...superuser, options: { sslmode: 'disable' } }
  const forbidden = rig.build(
    { ...pg1.config, postgres: { ...pg1.config.postgres, superuser: plain } },
    strict,
  )
  const status = await forbidden.server.status(within(5000))
  assert.match(status.trouble ?? '', /does not let user "postgres" in .*no encryption.*pg_hba/)
  assert.equal(status.process, 'running')
  for (const { server } of [again, forbidden]) await server.close()
  await pg1.server.configure(pg1.settings, within(5000))
})

test('the server is reached through its socket where the configuration says so', async () => {
  const raw = { use_unix_socket: true }
  const bySocket = rig.build({ ...pg1.config, postgres: { ...pg1.config.postgres, raw } }, pg1.settings)
  assert.equal((await factsOf(bySocket)).role, 'primary')
  const [row] = await sql(
    pg1,
    "SELECT client_addr FROM pg_stat_activity WHERE application_name = 'pgherd' AND client_addr IS NULL",
  )
  assert.deepEqual(row, { client_addr: null })
  await bySocket.server.close()
})

test('a stale postmaster.pid that names a foreign process is not taken for a server', async () => {
  const stopped = await pg1.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
  assert.equal(stopped.stopped, true)
  await writeFile(
    join(pg1.config.postgres.dataDir, 'postmaster.pid'),
    `${process.ppid}\n${pg1.config.postgres.dataDir}\n`,
  )
  const status = await pg1.server.status(within(5000))
  assert.deepEqual([status.process, status.dataDirectory], ['stopped', 'initialized'])
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
})

test('a fast stop tells the shutdown checkpoint, early and in its result', async () => {
  let told: bigint | undefined
  const result = await pg1.server.stop({
    mode: 'fast',
    checkpointFirst: true,
    by: within(20_000),
    onShutDown: lsn => {
      told = lsn
    },
  })
  const control = await pg1.server.controlData(within(5000))
  assert.equal(control?.state, 'shut down')
  assert.equal(result.stopped, true)
  assert.equal(result.shutdownCheckpointLsn, control?.checkpointLsn)
  assert.equal(told, control?.checkpointLsn)
})

test('an archiver that hangs delays the stop, not the news that the checkpoint is written', async t => {
  // The archiver goes on when the news has come: a stop that told it only at its end would come to its deadline first.
  const letGo = `${pg1.config.postgres.dataDir}.let-go`
  const slow = {
    ...pg1.settings,
    parameters: {
      ...pg1.settings.parameters,
      archive_mode: 'on',
      archive_command: `until [ -e ${letGo} ]; do sleep 0.1; done`,
    },
  }
  await pg1.server.configure(slow, within(5000))
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
  await factsOf(pg1)
  const startedMs = realClock.monotonicMs()
  let toldAfterMs = Number.POSITIVE_INFINITY
  let isLetGo: Promise<void> | undefined
  const result = await pg1.server.stop({
    mode: 'fast',
    checkpointFirst: false,
    by: within(20_000),
    onShutDown: () => {
      toldAfterMs = realClock.monotonicMs() - startedMs
      isLetGo = sleep(HELD_UP_MS).then(() => writeFile(letGo, ''))
    },
  })
  const stoppedAfterMs = realClock.monotonicMs() - startedMs
  await isLetGo
  t.diagnostic(`told after ${Math.round(toldAfterMs)} ms, stopped after ${Math.round(stoppedAfterMs)} ms`)
  assert.equal(result.stopped, true)
  assert.ok(stoppedAfterMs - toldAfterMs >= HELD_UP_MS, 'the news is not the end of the stop')
  await pg1.server.configure(pg1.settings, within(5000))
})

test('an immediate stop leaves the control file in production, and nobody alive', async () => {
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
  const result = await pg1.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.deepEqual(result, { stopped: true, shutdownCheckpointLsn: undefined })
  assert.equal((await pg1.server.controlData(within(5000)))?.state, 'in production')
  assert.deepEqual(await familyOf(pg1.config.postgres.dataDir), [])
})

test('a stop that a client holds up ends at its deadline with the whole family killed', async () => {
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
  const pid = (await pg1.server.status(within(5000))).postmasterPid ?? 0
  process.kill(pid, 'SIGSTOP')
  const result = await pg1.server.stop({ mode: 'fast', checkpointFirst: false, by: within(500) })
  assert.equal(result.stopped, true)
  assert.deepEqual(await familyOf(pg1.config.postgres.dataDir), [])
})

test('the death of a postmaster is told at once, and its busy backend acknowledges nothing any more', async () => {
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
  await sql(pg1, 'CREATE TABLE IF NOT EXISTS acknowledged (id int)')
  const client = await connectTo(pg1)
  const commit = client.query('INSERT INTO acknowledged SELECT 1 FROM pg_sleep(30)', within(60_000))
  const outcome = commit.then(
    () => 'acknowledged',
    () => 'refused',
  )
  await until(
    'the backend is busy',
    pg1,
    async () =>
      (await sql(pg1, "SELECT 1 AS one FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length === 1,
  )
  const gone = new Promise<void>(resolve => pg1.server.onGone(resolve))
  process.kill((await pg1.server.status(within(5000))).postmasterPid ?? 0, 'SIGKILL')
  await gone
  assert.equal(await outcome, 'refused')
  const by = within(20_000)
  while ((await familyOf(pg1.config.postgres.dataDir)).length > 0 && !by.isOver()) await realClock.sleep(20)
  assert.deepEqual(await familyOf(pg1.config.postgres.dataDir), [])
  assert.equal((await pg1.server.status(within(5000))).process, 'stopped')
})

test('after a crash the server starts in place, on its timeline', async () => {
  assert.equal(await pg1.server.start('primary', undefined, AbortSignal.timeout(60_000)), true)
  const facts = await factsOf(pg1)
  assert.deepEqual([facts.role, facts.timeline], ['primary', 1])
  assert.deepEqual(await sql(pg1, 'SELECT * FROM acknowledged'), [])
})

test('the fence needs no answer from anybody: signal, then the family', async () => {
  pg1.server.signalPostmaster('SIGKILL')
  const by = within(20_000)
  while ((await pg1.server.killFamily()) > 0) assert.equal(by.isOver(), false)
  assert.deepEqual(await familyOf(pg1.config.postgres.dataDir), [])
})

test('a server started as replica without upstream is read-only until it is promoted', async () => {
  assert.equal(await pg1.server.start('replica', undefined, AbortSignal.timeout(60_000)), true)
  assert.equal((await factsOf(pg1)).role, 'replica')
  assert.equal((await factsOf(pg1)).timeline, 1)
  assert.equal(pg1.server.isFollowing(undefined), true)
  assert.equal(await pg1.server.promote(within(10_000)), true)
  const facts = await factsOf(pg1)
  assert.deepEqual([facts.role, facts.timeline], ['primary', 2])
  const [line] = (await pg1.server.historyLines(2, within(5000))) ?? []
  assert.equal(line?.timeline, 1)
  await sql(pg1, 'INSERT INTO acknowledged VALUES (2)')
})
