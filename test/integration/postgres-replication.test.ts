// Two real servers: copied, following, promoted, gone apart and brought together again.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test, { after } from 'node:test'
import pg from 'pg'
import { slotNameOf } from '../../src/cluster/slot-name.ts'
import { realClock } from '../../src/platform/clock.ts'
import { DataDirectory } from '../../src/postgres/data-directory.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(60_000)
let pg1: Member
let pg2: Member

async function rows(member: Member, where = 'true'): Promise<number> {
  const [row] = await sql(member, `SELECT count(*) AS n FROM story WHERE ${where}`)
  return Number(row?.['n'])
}

test('a clone follows its source through its own slot and under its own name', async () => {
  pg1 = await rig.member('pg1')
  await pg1.server.bootstrap(AbortSignal.timeout(60_000))
  await sql(pg1, 'CREATE TABLE story (id int PRIMARY KEY)')
  pg2 = await rig.member('pg-2.b')
  await pg2.server.clone(pg1.upstream, starting())
  assert.deepEqual(
    await pg1.server.syncSlots(new Map([['pg_2_b', undefined]]), await factsOf(pg1), within(5000)),
    ['created slot pg_2_b'],
  )
  assert.equal(await pg2.server.start('replica', pg1.upstream, starting()), true)
  await until('streaming', pg2, async () => (await factsOf(pg2)).replicationState === 'streaming')
  assert.equal(pg2.server.isFollowing(pg1.upstream), true)
  assert.equal(pg2.server.isFollowing(undefined), false)
  const { senders, slots } = await factsOf(pg1)
  assert.deepEqual(
    senders.map(({ applicationName, username, state }) => [applicationName, username, state]),
    [['pg-2.b', 'repl', 'streaming']],
  )
  assert.deepEqual(
    slots.map(({ name, isActive, isPhysical, isLost }) => ({ name, isActive, isPhysical, isLost })),
    [{ name: 'pg_2_b', isActive: true, isPhysical: true, isLost: false }],
  )
})

test("a standby's positions and timeline are those of its upstream", async () => {
  await sql(pg1, 'INSERT INTO story SELECT generate_series(1, 1000)')
  const { writeLsn = 0n } = await factsOf(pg1)
  await until('replayed', pg2, async () => ((await factsOf(pg2)).replayedLsn ?? 0n) >= writeLsn)
  const facts = await factsOf(pg2)
  assert.deepEqual([facts.role, facts.timeline, facts.writeLsn], ['replica', 1, undefined])
  assert.ok((facts.receivedLsn ?? 0n) >= writeLsn)
  assert.equal(facts.systemId, (await factsOf(pg1)).systemId)
  assert.equal((await pg2.server.divergence(pg1.upstream, within(5000))).kind, 'none')
})

test('before a planned stop idle sessions are ended over the connection that is there, and over a new one when it was ended', async () => {
  const { session: busy } = await client(pg1)
  await busy.query('BEGIN')
  await factsOf(pg1)
  const first = await client(pg1)
  const isRefused = () =>
    sql(pg1, 'SELECT 1').then(
      () => false,
      () => true,
    )
  await pg1.server.configure({ ...pg1.settings, pgHba: ['local all all reject'] }, within(5000))
  await until('every new connection refused', pg1, isRefused)
  assert.equal(await pg1.server.endIdleSessions(within(5000)), 1)
  assert.equal(await first.ended, '57P01')
  await pg1.server.configure(pg1.settings, within(5000))
  await until('new connections taken again', pg1, async () => !(await isRefused()))
  const second = await client(pg1)
  await busy.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgherd'")
  assert.equal(await pg1.server.endIdleSessions(within(5000)), 1)
  assert.equal(await second.ended, '57P01')
  await busy.end()
})

test('a standby that knows nobody to ask still knows its timeline', async () => {
  assert.equal(await pg2.server.follow(undefined, within(5000)), true)
  assert.equal(pg2.server.isFollowing(undefined), true)
  await until('not streaming', pg2, async () => (await factsOf(pg2)).replicationState === undefined)
  const again = rig.build(pg2.config, pg2.settings)
  assert.equal((await factsOf(again)).timeline, 1)
  assert.equal(again.server.isFollowing(undefined), true)
  await again.server.close()
})

test('a standby goes back to an upstream by reload, without a restart', async () => {
  const { postmasterStartTime } = await factsOf(pg2)
  assert.equal(await pg2.server.follow(pg1.upstream, within(5000)), true)
  await until('streaming', pg2, async () => (await factsOf(pg2)).replicationState === 'streaming')
  assert.equal((await factsOf(pg2)).postmasterStartTime, postmasterStartTime)
})

test('settings that are taken right after a change of the upstream do not take it back', async () => {
  for (const upstream of [undefined, pg1.upstream, undefined, pg1.upstream]) {
    assert.equal(await pg2.server.follow(upstream, within(5000)), true)
    await pg2.server.configure(pg2.settings, within(5000))
    assert.equal(pg2.server.isFollowing(upstream), true)
    const [row] = await sql(pg2, "SELECT current_setting('primary_conninfo') AS conninfo")
    assert.equal(row?.['conninfo'] !== '', upstream !== undefined)
  }
  await until('streaming', pg2, async () => (await factsOf(pg2)).replicationState === 'streaming')
})

test('on a standby an idle slot follows the wanted position', async () => {
  const wanted = new Map([['pg3', (await factsOf(pg2)).replayedLsn]])
  await pg2.server.syncSlots(wanted, await factsOf(pg2), within(5000))
  await sql(pg1, 'INSERT INTO story SELECT generate_series(1001, 2000)')
  const { writeLsn = 0n } = await factsOf(pg1)
  await until('replayed', pg2, async () => ((await factsOf(pg2)).replayedLsn ?? 0n) >= writeLsn)
  await pg2.server.syncSlots(new Map([['pg3', writeLsn]]), await factsOf(pg2), within(5000))
  assert.ok(((await factsOf(pg2)).slots[0]?.restartLsn ?? 0n) >= writeLsn)
  assert.deepEqual(await pg2.server.syncSlots(new Map(), await factsOf(pg2), within(5000)), [
    'dropped slot pg3',
  ])
})

test('settings are taken by reload; one that needs a restart is told', async () => {
  const { parameters, controlled } = pg1.settings
  const reloadable = { ...pg1.settings, parameters: { ...parameters, work_mem: '7MB' } }
  assert.equal(await pg1.server.configure(reloadable, within(5000)), false)
  assert.equal((await sql(pg1, 'SHOW work_mem'))[0]?.['work_mem'], '7MB')
  const restart = { ...pg1.settings, parameters: { ...parameters, shared_buffers: '20MB' } }
  assert.equal(await pg1.server.configure(restart, within(5000)), true)
  assert.equal((await factsOf(pg1)).isRestartPending, true)
  const onCommandLine = { ...pg1.settings, controlled: { ...controlled, max_connections: '50' } }
  assert.equal(await pg1.server.configure(onCommandLine, within(5000)), true)
  assert.equal(await pg1.server.configure(pg1.settings, within(5000)), false)
  assert.equal((await factsOf(pg1)).isRestartPending, false)
})

test('a standby with a smaller max_connections than its primary starts with the larger', async () => {
  await pg2.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const small = { ...pg2.settings, controlled: { ...pg2.settings.controlled, max_connections: '30' } }
  const careless = rig.build(pg2.config, small)
  assert.equal(await careless.server.start('replica', pg1.upstream, starting()), true)
  const [row] = await sql(careless, 'SHOW max_connections')
  assert.equal(row?.['max_connections'], '40')
  await until('restart pending', careless, async () => (await factsOf(careless)).isRestartPending)
  await careless.server.close()
  await factsOf(pg2)
})

test('a standby whose primary came back with a larger value ends and starts with that one; a pause by hand is left alone', async () => {
  await sql(pg2, 'SELECT pg_wal_replay_pause()')
  assert.equal(await pg2.server.endStarvedReplay(within(5000)), false)
  await sql(pg2, 'SELECT pg_wal_replay_resume()')
  await pg1.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const large = { ...pg1.settings, controlled: { ...pg1.settings.controlled, max_connections: '45' } }
  const larger = rig.build(pg1.config, large)
  assert.equal(await larger.server.start('primary', undefined, starting()), true)
  await until('the replay stands still', pg2, async () => (await factsOf(pg2)).isReplayPaused)
  assert.equal(await pg2.server.endStarvedReplay(within(5000)), true)
  await until('its end', pg2, async () => (await pg2.server.status(within(5000))).process === 'stopped')
  assert.equal(await pg2.server.start('replica', pg1.upstream, starting()), true)
  assert.equal((await sql(pg2, 'SHOW max_connections'))[0]?.['max_connections'], '45')
  await larger.server.close()
  await factsOf(pg1)
})

test('an old primary that stopped cleanly before the promotion follows without a rewind', async () => {
  await until('streaming', pg2, async () => (await factsOf(pg2)).replicationState === 'streaming')
  const { stopped } = await pg1.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
  assert.equal(stopped, true)
  assert.equal(await pg2.server.promote(within(10_000)), true)
  assert.equal((await factsOf(pg2)).timeline, 2)
  assert.deepEqual(await pg1.server.divergence(pg2.upstream, within(5000)), { kind: 'none' })
  await pg2.server.syncSlots(new Map([['pg1', undefined]]), await factsOf(pg2), within(5000))
  assert.equal(await pg1.server.start('replica', pg2.upstream, starting()), true)
  // It streams the rest of the old timeline first, and crosses over then.
  await until('streaming on timeline 2', pg1, async () => {
    const { replicationState, timeline } = await factsOf(pg1)
    return replicationState === 'streaming' && timeline === 2
  })
})

test('a standby that is asked while it crosses over to a new timeline is never taken for one that has to rewind', async t => {
  const asked = new Map<string, number>()
  for (let round = 0; round < 4; round += 1) {
    const [old, next] = (await factsOf(pg1)).role === 'primary' ? [pg1, pg2] : [pg2, pg1]
    await until('streaming', next, async () => (await factsOf(next)).replicationState === 'streaming')
    await old.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
    assert.equal(await next.server.promote(within(10_000)), true)
    await sql(next, 'CREATE TABLE IF NOT EXISTS crossing AS SELECT generate_series(1, 1000)')
    await next.server.syncSlots(
      new Map([[slotNameOf(old.config.name), undefined]]),
      await factsOf(next),
      within(5000),
    )
    const started = old.server.start('replica', next.upstream, starting())
    let isOver = false
    const ask = async () => {
      while (!isOver) {
        const { kind } = await old.server.divergence(next.upstream, within(5000))
        asked.set(kind, (asked.get(kind) ?? 0) + 1)
      }
    }
    const asking = ask()
    try {
      assert.equal(await started, true)
      const { timeline } = await factsOf(next)
      await until('streaming', old, async () => {
        const facts = await factsOf(old)
        return facts.replicationState === 'streaming' && facts.timeline === timeline
      })
    } finally {
      isOver = true
      await asking
    }
  }
  t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(asked))}`)
  assert.equal(asked.get('diverged'), undefined)
})

for (const mode of ['crashed', 'stopped', 'immediately stopped'] as const) {
  test(`an old primary that ${mode} with 1000 rows of its own is rewound: they are gone, the others are there`, async () => {
    // Who leads changes from round to round: `old` is the primary that fails.
    const [old, next] = (await factsOf(pg1)).role === 'primary' ? [pg1, pg2] : [pg2, pg1]
    await until('streaming', next, async () => (await factsOf(next)).replicationState === 'streaming')
    const { timeline, systemId } = await factsOf(old)
    const before = await rows(old)
    assert.equal(await next.server.follow(undefined, within(5000)), true)
    await until('cut off', old, async () => (await factsOf(old)).senders.length === 0)
    await sql(old, 'INSERT INTO story SELECT -generate_series(1, 1000)')
    if (mode === 'crashed') {
      old.server.signalPostmaster('SIGKILL')
      while ((await old.server.killFamily()) > 0) await realClock.sleep(20)
    } else {
      const stopMode = mode === 'stopped' ? 'fast' : 'immediate'
      await old.server.stop({ mode: stopMode, checkpointFirst: false, by: within(20_000) })
    }
    assert.equal(await next.server.promote(within(10_000)), true)
    await sql(next, `INSERT INTO story SELECT max(id) + 1 FROM story`)

    const divergence = await old.server.divergence(next.upstream, within(5000))
    assert.equal(
      divergence.kind,
      'diverged',
      JSON.stringify(divergence, (_, value) => String(value)),
    )
    assert.equal(await old.server.canRewind(within(5000)), true)
    const result = await old.server.rewind(next.upstream, divergence, AbortSignal.timeout(60_000))
    assert.equal(result.ok, true, result.says)
    // A thousand rows of 28 bytes and their index entries.
    assert.ok(result.discardedBytes > 64_000n, `${result.discardedBytes} bytes`)

    const slot = new Map([[old.config.name.replaceAll(/[-.]/g, '_'), undefined]])
    await next.server.syncSlots(slot, await factsOf(next), within(5000))
    assert.equal(await old.server.start('replica', next.upstream, starting()), true)
    await until('streaming', old, async () => (await factsOf(old)).replicationState === 'streaming')
    await until('caught up', old, async () => (await rows(old)) === before + 1)
    assert.equal(await rows(old, 'id < 0'), 0)
    const facts = await factsOf(old)
    assert.deepEqual([facts.timeline, facts.systemId], [timeline + 1, systemId])
  })
}

test('a directory whose rewind was interrupted counts as empty: it is set aside, and a clone takes its place', async () => {
  const [leader, broken] = (await factsOf(pg1)).role === 'primary' ? [pg1, pg2] : [pg2, pg1]
  await broken.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const { dataDir } = broken.config.postgres
  assert.equal(
    (await broken.server.status(within(5000))).dataDirectory,
    'initialized',
    'a rewind that ended left no mark',
  )
  await new DataDirectory(dataDir).beginChange(within(5000))
  const status = await broken.server.status(within(5000))
  assert.deepEqual([status.process, status.dataDirectory], ['stopped', 'empty'])
  await broken.server.clone(leader.upstream, AbortSignal.timeout(60_000))
  assert.equal((await broken.server.status(within(5000))).dataDirectory, 'initialized')
  assert.equal(await broken.server.start('replica', leader.upstream, starting()), true)
})

test('a rewind that failed before it touched anything leaves the directory as it was', async () => {
  const [leader, standby] = (await factsOf(pg1)).role === 'primary' ? [pg1, pg2] : [pg2, pg1]
  const nobody = { member: 'nobody', address: { ...leader.upstream.address, port: 1 } }
  const divergence = { kind: 'diverged', at: 0n, localEnd: 0n } as const
  const result = await standby.server.rewind(nobody, divergence, AbortSignal.timeout(60_000))
  assert.equal(result.ok, false)
  assert.equal((await standby.server.status(within(5000))).dataDirectory, 'initialized')
  assert.equal(await standby.server.start('replica', leader.upstream, starting()), true)
})

test('a standby that has received more than the new leader is diverged before it replays that, and rewound', async () => {
  const [leader, standby] = (await factsOf(pg1)).role === 'primary' ? [pg1, pg2] : [pg2, pg1]
  const third = await rig.member('pg3')
  await third.server.clone(leader.upstream, starting())
  assert.equal(await third.server.start('replica', undefined, starting()), true)
  await sql(standby, 'SELECT pg_wal_replay_pause()')
  await sql(leader, 'INSERT INTO story SELECT -generate_series(2001, 3000)')
  const { writeLsn = 0n } = await factsOf(leader)
  await until('received', standby, async () => ((await factsOf(standby)).receivedLsn ?? 0n) >= writeLsn)
  assert.equal((await factsOf(standby)).isReplayPaused, true)
  // The third has not seen those rows; it takes over on the next timeline.
  await leader.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.equal(await third.server.promote(within(10_000)), true)
  assert.equal((await standby.server.divergence(third.upstream, within(5000))).kind, 'diverged')
  await standby.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.equal((await standby.server.controlData(within(5000)))?.state, 'in archive recovery')
  const divergence = await standby.server.divergence(third.upstream, within(5000))
  assert.equal(divergence.kind, 'diverged')
  const result = await standby.server.rewind(third.upstream, divergence, AbortSignal.timeout(60_000))
  assert.equal(result.ok, true, result.says)
  const slot = new Map([[standby.config.name.replaceAll(/[-.]/g, '_'), undefined]])
  await third.server.syncSlots(slot, await factsOf(third), within(5000))
  assert.equal(await standby.server.start('replica', third.upstream, starting()), true)
  await until('streaming', standby, async () => (await factsOf(standby)).replicationState === 'streaming')
  assert.equal(await rows(standby, 'id < 0'), 0)
  const { timeline } = await factsOf(third)
  await until(
    'the timeline of the third',
    standby,
    async () => (await factsOf(standby)).timeline === timeline,
  )
  await third.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
})

test('a leader of another cluster is nobody to compare with', async () => {
  const other = await rig.member('other')
  await other.server.bootstrap(AbortSignal.timeout(60_000))
  const divergence = await pg1.server.divergence(other.upstream, within(5000))
  assert.equal(divergence.kind, 'unknown')
  assert.match(divergence.kind === 'unknown' ? divergence.why : '', /another cluster/)
})

test('setting aside keeps the data and leaves an empty directory to clone into', async () => {
  await pg1.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const path = await pg1.server.setAside(within(5000))
  assert.ok(path)
  assert.ok((await readdir(path)).includes('PG_VERSION'))
  const status = await pg1.server.status(within(5000))
  assert.deepEqual([status.process, status.dataDirectory], ['stopped', 'empty'])
})

/** A session of an application, and the code that its end is told with. */
async function client({ config }: Member): Promise<{ session: pg.Client; ended: Promise<string> }> {
  const { superuser, connectAddress } = config.postgres
  const { username: user, password } = superuser
  const session = new pg.Client({ ...connectAddress, user, password, database: 'postgres' })
  const ended = new Promise<string>(resolve =>
    session.once('error', (error: Error & { code?: string }) => {
      session.on('error', () => {})
      resolve(error.code ?? error.message)
    }),
  )
  await session.connect()
  return { session, ended }
}
