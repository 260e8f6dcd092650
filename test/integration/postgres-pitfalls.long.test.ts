// Mistakes that others made with a server, on real ones: what an attacker left in a database, slots that are lost or hold
// back vacuum, a promotion that the control file does not show yet, a slot that is being made while the role changes.

import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { findBinaries } from '../../src/postgres/binaries.ts'
import type { LogicalSlot } from '../../src/postgres/port.ts'
import { connectTo, factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)
const pg1 = await small('pg1')
const pg2 = await small('pg2')
const pg3 = await small('pg3')

/** Segments of 1 MB, so that WAL is thrown away without much writing. */
async function small(name: string): Promise<Member> {
  const { config, settings } = await rig.member(name)
  const bootstrap = { ...config.bootstrap, initdb: [{ 'wal-segsize': '1' }] }
  const parameters = {
    ...settings.parameters,
    shared_buffers: '64MB',
    wal_keep_size: '0',
    min_wal_size: '2MB',
    max_wal_size: '1GB',
    checkpoint_timeout: '1h',
    max_slot_wal_keep_size: '4MB',
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
  }
  const controlled = { ...settings.controlled, wal_level: 'logical' }
  return rig.build({ ...config, bootstrap }, { ...settings, controlled, parameters })
}

async function follow(member: Member, upstream: Member): Promise<void> {
  await upstream.server.syncSlots(
    new Map([[member.config.name, undefined]]),
    await factsOf(upstream),
    within(10_000),
  )
  assert.equal(await member.server.start('replica', upstream.upstream, starting()), true)
  await until('streaming', member, async () => (await factsOf(member)).replicationState === 'streaming')
}

test('functions that a superuser’s search_path finds before PostgreSQL’s own are never called by us', async () => {
  await pg1.server.bootstrap(starting())
  await sql(
    pg1,
    `CREATE SCHEMA evil; CREATE TABLE evil.called (what text);
     CREATE FUNCTION evil.pg_is_in_recovery() RETURNS boolean LANGUAGE sql
       AS $$ INSERT INTO evil.called VALUES ('pg_is_in_recovery'); SELECT true $$;
     CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql
       AS $$ INSERT INTO evil.called VALUES ('current_setting'); SELECT '' $$;
     CREATE FUNCTION evil.pg_create_physical_replication_slot(text, boolean) RETURNS text LANGUAGE sql
       AS $$ INSERT INTO evil.called VALUES ('slot'); SELECT '' $$;
     ALTER ROLE postgres SET search_path = evil, pg_catalog;
     ALTER DATABASE postgres SET search_path = evil, pg_catalog`,
  )
  const again = rig.build(pg1.config, pg1.settings)
  assert.equal((await factsOf(again)).role, 'primary')
  assert.equal(await again.server.setSynchronousStandbys('', within(10_000)), true)
  await again.server.syncSlots(new Map([['pg9', undefined]]), await factsOf(again), within(10_000))
  assert.deepEqual(
    (await factsOf(again)).slots.map(({ name }) => name),
    ['pg9'],
  )
  assert.deepEqual(await sql(pg1, 'SELECT what FROM evil.called'), [])
  await sql(pg1, 'SELECT pg_is_in_recovery()')
  assert.equal((await sql(pg1, 'SELECT what FROM evil.called')).length, 1, 'an application falls into it')
  await again.server.setSynchronousStandbys(undefined, within(10_000))
  await sql(pg1, 'ALTER ROLE postgres RESET search_path; ALTER DATABASE postgres RESET search_path')
  await sql(pg1, 'DROP SCHEMA evil CASCADE')
})

test('a slot that a server has given up is told as lost, and made again', async () => {
  const wanted = new Map([['pg9', undefined]])
  await sql(pg1, 'CREATE TABLE ballast (t text)')
  await until('the slot to be lost', pg1, async () => {
    await sql(pg1, "INSERT INTO ballast VALUES ('x'); SELECT pg_switch_wal(); CHECKPOINT", 30_000)
    return (await factsOf(pg1)).slots.some(slot => slot.name === 'pg9' && slot.isLost)
  })
  const done = await pg1.server.syncSlots(wanted, await factsOf(pg1), within(10_000))
  assert.deepEqual(done, ['dropped slot pg9', 'created slot pg9'])
  const [slot] = (await factsOf(pg1)).slots
  assert.deepEqual([slot?.isLost, slot?.restartLsn !== undefined], [false, true])
  await pg1.server.syncSlots(new Map(), await factsOf(pg1), within(10_000))
})

test('an idle slot on a standby does not go on holding back vacuum for a follower that is gone', async () => {
  for (const [member, upstream] of [
    [pg2, pg1],
    [pg3, pg2],
  ] as const) {
    await member.server.clone(pg1.upstream, starting())
    await follow(member, upstream)
  }
  const slotOf = async () => (await factsOf(pg2)).slots.find(({ name }) => name === 'pg3')
  await until(
    'the follower to hold back vacuum',
    pg2,
    async () => (await slotOf())?.holdsXmin === true,
    30_000,
  )
  await pg3.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  await until('the slot to be idle', pg2, async () => (await slotOf())?.isActive === false)
  assert.equal((await slotOf())?.holdsXmin, true, 'PostgreSQL keeps it')
  await pg2.server.syncSlots(new Map([['pg3', undefined]]), await factsOf(pg2), within(10_000))
  assert.deepEqual([(await slotOf())?.holdsXmin, (await slotOf())?.isActive], [false, false])
})

test('a slot that is being made when the server is promoted or restarted is not made after it', async () => {
  const cdc: LogicalSlot = { name: 'cdc', database: 'postgres', plugin: 'test_decoding' } as LogicalSlot
  const writer = await connectTo(pg1)
  try {
    await writer.query('BEGIN', within(5_000))
    await writer.query("INSERT INTO ballast VALUES ('open')", within(5_000))
    await pg1.server.syncSlots(new Map([['pg2', undefined]]), await factsOf(pg1), within(10_000), [cdc])
    await until('PostgreSQL to wait for the transaction', pg1, async () => {
      const [row] = await sql(
        pg1,
        "SELECT count(*)::text AS n FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%create_logical%' AND state = 'active'",
      )
      return row?.['n'] === '1'
    })
    // A server that is no standby refuses it; what was under way is ended first all the same.
    assert.equal(await pg1.server.promote(within(10_000)), true)
    await writer.query('COMMIT', within(5_000))
  } finally {
    writer.close()
  }
  await realClock.sleep(1_000)
  assert.ok(!pg1.log.some(line => /logical slot cdc/.test(line)), pg1.log.join('\n'))
})

test('a rewind right after a promotion is not misled by a control file that does not show it yet', async () => {
  await pg1.server.syncSlots(new Map([['pg2', undefined]]), await factsOf(pg1), within(10_000))
  // So many pages that the checkpoint after the promotion, which takes its time, is far from its end.
  await sql(pg1, "CREATE TABLE pages AS SELECT repeat('x', 2000) AS t FROM generate_series(1, 12000)", 60_000)
  const { writeLsn = 0n } = await factsOf(pg1)
  await until('all of it', pg2, async () => ((await factsOf(pg2)).replayedLsn ?? 0n) >= writeLsn, 60_000)
  await pg2.server.follow(undefined, within(10_000))
  await until('nobody streams', pg1, async () => (await factsOf(pg1)).senders.length === 0)
  await sql(pg1, 'CREATE TABLE only_here (id int)')
  assert.equal(await pg2.server.promote(within(20_000)), true)
  await pg1.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  const shown = async () =>
    (await sql(pg2, 'SELECT timeline_id::text AS shown FROM pg_control_checkpoint()'))[0]?.['shown']
  const divergence = await pg1.server.divergence(pg2.upstream, within(20_000))
  assert.equal(divergence.kind, 'diverged')
  assert.equal(await shown(), '1', 'the control file still shows the old timeline')
  const { ok, says } = await pg1.server.rewind(pg2.upstream, divergence, starting())
  assert.equal(ok, true, says)
  assert.equal(await shown(), '2')
  await follow(pg1, pg2)
  assert.deepEqual(await sql(pg1, "SELECT to_regclass('only_here') AS found"), [{ found: null }])
})

const SLOW_START_S = 25

/** A server that takes its time to come up while the file `slow` is there. */
async function slowServer(): Promise<string> {
  const binaries = await findBinaries(
    { binDir: undefined, names: {}, preferMajor: undefined },
    within(10_000),
  )
  const program = join(rig.directory, 'postgres-slow')
  // Not where it is only asked for a setting or its version.
  const wait = `case " $* " in *" -C "*) ;; *" -D "*) [ ! -e ${slow} ] || sleep ${SLOW_START_S};; esac`
  const text = `#!/bin/sh\n${wait}\nexec ${binaries.path('postgres')} "$@"\n`
  await writeFile(program, text, { mode: 0o755 })
  return program
}
const slow = join(rig.directory, 'slow')

test('a standby that comes up slowly after a copy of logical slots is not waited for', async () => {
  const cdc: LogicalSlot = { name: 'cdc2', database: 'postgres', plugin: 'test_decoding' }
  await pg2.server.syncSlots(new Map([['pg1', undefined]]), await factsOf(pg2), within(10_000), [cdc])
  await until('the slot', pg2, async () => {
    const found = (await factsOf(pg2)).slots.find(({ name }) => name === 'cdc2')
    return found?.confirmedLsn !== undefined
  })
  const { writeLsn = 0n } = await factsOf(pg2)
  await until('all of it', pg1, async () => ((await factsOf(pg1)).replayedLsn ?? 0n) >= writeLsn)
  const { config, settings } = pg1
  const raw = { ...config.postgres.raw, bin_name: { postgres: await slowServer() } }
  const again = rig.build({ ...config, postgres: { ...config.postgres, raw } }, settings)
  assert.equal((await factsOf(again)).role, 'replica')
  await writeFile(slow, '')
  const beganMs = realClock.monotonicMs()
  const left = await again.server.copyLogicalSlots(pg2.upstream, pg2.upstream, ['cdc2'], starting())
  await rm(slow)
  assert.deepEqual(left, [])
  assert.ok(realClock.monotonicMs() - beganMs < (SLOW_START_S - 5) * 1000)
  assert.equal((await again.server.status(within(5_000))).process, 'starting')
  await until(
    'it to be up with its copy',
    again,
    async () => {
      return (await factsOf(again)).slots.some(({ name }) => name === 'cdc2')
    },
    60_000,
  )
})
