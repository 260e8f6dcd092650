// A rewind that needs WAL which our own server has thrown away: it is in the archive, or it is not.

import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { Context } from '../../src/postgres/context.ts'
import { fetchWal } from '../../src/postgres/missing-wal.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(60_000)
const archive = join(rig.directory, 'archive')
const away = join(rig.directory, 'away')
await mkdir(archive)

const { settings } = await rig.member('unused')
const changes = {
  parameters: {
    ...settings.parameters,
    archive_mode: 'on',
    archive_command: `cp %p ${archive}/%f`,
    wal_keep_size: '0',
    min_wal_size: '32MB',
    max_wal_size: '32MB',
  },
  recovery: { restore_command: `cp ${archive}/%f %p` },
}
const one = await rig.member('one', changes)
const two = await rig.member('two', changes)

/** `other` is promoted; `primary` goes on alone until the WAL of the fork is gone from it, and is stopped. */
async function partWays(primary: Member, other: Member): Promise<readonly string[]> {
  const { writeLsn = 0n } = await factsOf(primary)
  await until('all of it', other, async () => ((await factsOf(other)).receivedLsn ?? 0n) >= writeLsn)
  assert.equal(await other.server.promote(within(20_000)), true)
  await until('nobody streams', primary, async () => (await factsOf(primary)).senders.length === 0)
  await primary.server.syncSlots(new Map(), await factsOf(primary), within(5_000))
  const wal = join(primary.config.postgres.dataDir, 'pg_wal')
  const before = (await readdir(wal)).filter(name => /^[0-9A-F]{24}$/.test(name))
  for (let round = 0; round < 4; round += 1) {
    await sql(primary, 'CREATE TABLE IF NOT EXISTS alone (id int); INSERT INTO alone VALUES (1)')
    await sql(primary, 'SELECT pg_switch_wal()')
    await sql(primary, 'CHECKPOINT', 30_000)
  }
  await primary.server.stop({ mode: 'fast', checkpointFirst: false, by: within(30_000) })
  const left = await readdir(wal)
  const gone = before.filter(name => !left.includes(name))
  assert.ok(gone.length > 0, `nothing of ${before.join()} is gone`)
  return gone
}

async function rewind(member: Member, leader: Member) {
  const divergence = await member.server.divergence(leader.upstream, within(20_000))
  assert.equal(divergence.kind, 'diverged')
  return await member.server.rewind(leader.upstream, divergence, starting())
}

async function followAgain(member: Member, leader: Member): Promise<void> {
  const slots = new Map([[member.config.name, undefined]])
  await leader.server.syncSlots(slots, await factsOf(leader), within(5_000))
  assert.equal(await member.server.start('replica', leader.upstream, starting()), true)
  await until('streaming', member, async () => (await factsOf(member)).replicationState === 'streaming')
}

test('WAL that the old primary has thrown away comes from the archive, and without it the rewind says which is missing', async () => {
  await one.server.bootstrap(starting())
  await two.server.clone(one.upstream, starting())
  await one.server.syncSlots(new Map([['two', undefined]]), await factsOf(one), within(5_000))
  assert.equal(await two.server.start('replica', one.upstream, starting()), true)
  const gone = await partWays(one, two)
  await rename(archive, away)
  await mkdir(archive)
  const refused = await rewind(one, two)
  assert.equal(refused.ok, false)
  assert.match(refused.says, /pg_rewind/)
  await rm(archive, { recursive: true })
  await rename(away, archive)
  const done = await rewind(one, two)
  assert.equal(done.ok, true, `${done.says}; gone were ${gone.join()}\n${one.log.join('\n')}`)
  await followAgain(one, two)
  assert.deepEqual(await sql(one, "SELECT to_regclass('alone') AS found"), [{ found: null }])
})

test('where pg_rewind cannot fetch WAL itself, the file that it names is fetched for it', async () => {
  const gone = await partWays(two, one)
  const name = gone.at(-1) ?? ''
  const { config } = two
  const lines: string[] = []
  const log = two.log
  const context = new Context({ config, settings: two.settings, clock: realClock, log: quiet(lines) })
  assert.equal(await fetchWal(context, '0000000100000000000000FF', starting()), false)
  assert.equal(await fetchWal(context, name, starting()), true, log.join('\n'))
  assert.equal(await fetchWal(context, name, starting()), false, 'a file that is there is not replaced')
  const wal = await readdir(join(config.postgres.dataDir, 'pg_wal'))
  assert.deepEqual(
    wal.filter(file => file.endsWith('.pgherd')),
    [],
  )
  assert.ok(wal.includes(name))
  const done = await rewind(two, one)
  assert.equal(done.ok, true, done.says)
  await followAgain(two, one)
})

function quiet(lines: string[]): Context['log'] {
  const keep = (text: string) => void lines.push(text)
  const log: Context['log'] = {
    debug: keep,
    info: keep,
    warning: keep,
    error: keep,
    critical: keep,
    with: () => log,
  }
  return log
}
