// Two promotions from one position: two timelines of one number, which PostgreSQL takes for one.

import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(60_000)
const [a, b] = [await rig.member('twin-a'), await rig.member('twin-b')]
const source = await rig.member('twin-source')

const switchLsn = async (twin: Member) => (await twin.server.historyLines(2, within(5_000)))?.[0]?.switchLsn

test('two promotions to one timeline number from one position are told apart', async () => {
  await source.server.bootstrap(AbortSignal.timeout(60_000))
  const slots = new Map(['twin_a', 'twin_b'].map(name => [name, undefined] as const))
  await source.server.syncSlots(slots, await factsOf(source), within(5_000))
  for (const twin of [a, b]) {
    await twin.server.clone(source.upstream, starting())
    assert.equal(await twin.server.start('replica', source.upstream, starting()), true)
    await until('streaming', twin, async () => (await factsOf(twin)).replicationState === 'streaming')
  }
  await source.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
  for (const twin of [a, b]) assert.equal(await twin.server.promote(within(20_000)), true)
  assert.equal(await switchLsn(a), await switchLsn(b))
  const divergence = await b.server.divergence(a.upstream, within(10_000))
  assert.equal(divergence.kind, 'diverged')
  assert.ok(divergence.kind === 'diverged' && divergence.at === (await switchLsn(a)))
})

test('a standby that still starts after its rewind is compared with either of them', async () => {
  assert.equal(await source.server.start('primary', undefined, starting()), true)
  await sql(source, 'CREATE TABLE own AS SELECT generate_series(1, 1000)')
  await source.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
  // Its rewind must replay into a second segment, and that one is not there: it waits for an upstream to come up at all.
  await sql(a, 'CREATE TABLE first AS SELECT generate_series(1, 1000)')
  await sql(a, 'SELECT pg_switch_wal()')
  await sql(a, 'CREATE TABLE second AS SELECT generate_series(1, 1000)')
  const divergence = await source.server.divergence(a.upstream, within(10_000))
  const result = await source.server.rewind(a.upstream, divergence, AbortSignal.timeout(60_000))
  assert.equal(result.ok, true, result.says)
  const wal = join(source.config.postgres.dataDir, 'pg_wal')
  const [, ...later] = (await readdir(wal)).filter(name => /^00000002[0-9A-F]{16}$/.test(name)).sort()
  for (const segment of later) await rm(join(wal, segment))
  await source.server.start('replica', undefined, AbortSignal.timeout(3000)).catch(() => false)
  await until('its recovery', source, async () => {
    const control = await source.server.controlData(within(5000))
    return control?.state === 'in archive recovery'
  })
  assert.equal((await source.server.status(within(5000))).process, 'starting')
  assert.deepEqual(await source.server.divergence(a.upstream, within(10_000)), { kind: 'none' })
  const other = await source.server.divergence(b.upstream, within(10_000))
  assert.ok(other.kind === 'diverged' && other.at === (await switchLsn(b)), JSON.stringify(other.kind))
  await a.server.syncSlots(new Map([['twin_source', undefined]]), await factsOf(a), within(5000))
  await source.server.follow(a.upstream, within(10_000))
  await until('streaming', source, async () => (await factsOf(source)).replicationState === 'streaming')
  await source.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
})

test('they are told apart when the other one has gone on to the next timeline', async () => {
  // The other one goes on to the next timeline: both histories still agree up to ours, and by numbers we only lag.
  await sql(a, 'CREATE TABLE moved AS SELECT generate_series(1, 1000)')
  await a.server.stop({ mode: 'fast', checkpointFirst: true, by: within(20_000) })
  assert.equal(await a.server.start('replica', undefined, starting()), true)
  assert.equal(await a.server.promote(within(20_000)), true)
  assert.equal((await factsOf(a)).timeline, 3)
  const later = await b.server.divergence(a.upstream, within(10_000))
  assert.ok(later.kind === 'diverged' && later.at === (await switchLsn(a)), later.kind)
  const standby = await rig.member('twin-c')
  await standby.server.clone(a.upstream, starting())
  assert.equal(await standby.server.start('replica', a.upstream, starting()), true)
  assert.equal((await standby.server.divergence(a.upstream, within(10_000))).kind, 'none')
})
