// What a rewind must not lose, WAL that only the crashed primary has and that waits for its archiver, and what it may wait for.

import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { historyFileName } from '../../src/postgres/divergence.ts'
import { familyOf } from '../../src/postgres/family.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(60_000)
const archive = join(rig.directory, 'archive')
const open = join(archive, 'open')
let one: Member
let two: Member

/** Three segments that are complete and not archived, then a crash; the other one is promoted. */
async function crashWithoutArchive(primary: Member, standby: Member): Promise<readonly string[]> {
  await rm(open, { force: true })
  for (let round = 0; round < 3; round += 1) {
    await sql(primary, 'CREATE TABLE IF NOT EXISTS story (id int); INSERT INTO story VALUES (1)')
    await sql(primary, 'SELECT pg_switch_wal()')
  }
  const ready = await readdir(join(primary.config.postgres.dataDir, 'pg_wal/archive_status'))
  const { writeLsn = 0n } = await factsOf(primary)
  await until('all of it', standby, async () => ((await factsOf(standby)).receivedLsn ?? 0n) >= writeLsn)
  await standby.server.follow(undefined, within(5_000))
  await until('nobody streams', primary, async () => (await factsOf(primary)).senders.length === 0)
  await sql(primary, 'INSERT INTO story VALUES (2)')
  await primary.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.equal(await standby.server.promote(within(20_000)), true)
  return ready.filter(name => name.endsWith('.ready')).map(name => name.replace('.ready', ''))
}

async function rewound(member: Member, leader: Member): Promise<void> {
  const divergence = await member.server.divergence(leader.upstream, within(20_000))
  assert.equal(divergence.kind, 'diverged')
  const { ok, says } = await member.server.rewind(leader.upstream, divergence, starting())
  assert.equal(ok, true, says)
}

test('WAL that waited for the archiver of a crashed primary is archived before it is rewound', async () => {
  await mkdir(archive)
  const parameters = { archive_mode: 'on', archive_command: `test -e ${open} && cp %p ${archive}/%f` }
  const settings = (await rig.member('unused')).settings
  const changes = { parameters: { ...settings.parameters, ...parameters } }
  one = await rig.member('one', changes)
  two = await rig.member('two', changes)
  await one.server.bootstrap(starting())
  await two.server.clone(one.upstream, starting())
  await one.server.syncSlots(new Map([['two', undefined]]), await factsOf(one), within(5_000))
  assert.equal(await two.server.start('replica', one.upstream, starting()), true)
  const waiting = await crashWithoutArchive(one, two)
  assert.ok(waiting.length >= 3, waiting.join())
  await writeFile(open, '')
  await rewound(one, two)
  const archived = await readdir(archive)
  for (const name of waiting) assert.ok(archived.includes(name), `${name} of ${archived.join()}`)
  await two.server.syncSlots(new Map([['one', undefined]]), await factsOf(two), within(5_000))
  assert.equal(await one.server.start('replica', two.upstream, starting()), true)
  await until('streaming', one, async () => (await factsOf(one)).replicationState === 'streaming')
})

test('an archive that refuses does not keep the server down: what is missing is told', async () => {
  const waiting = await crashWithoutArchive(two, one)
  await rewound(two, one)
  const complaint = two.log.find(line => line.startsWith('error: archive_command failed'))
  assert.match(
    complaint ?? two.log.join('\n'),
    /WAL files up to [0-9A-F]{24}.* are missing in the archive; take a new base backup/,
  )
  assert.ok(complaint?.includes(waiting[0] ?? 'none'), complaint)
})

async function followAgain(member: Member, leader: Member): Promise<void> {
  const slots = new Map([[member.config.name, undefined]])
  await leader.server.syncSlots(slots, await factsOf(leader), within(5_000))
  assert.equal(await member.server.start('replica', leader.upstream, starting()), true)
  await until('streaming', member, async () => (await factsOf(member)).replicationState === 'streaming')
}

/** All processes of a server, which answer nothing any more, as if its host had gone. */
async function freeze({ config }: Member): Promise<readonly number[]> {
  const pids = await familyOf(config.postgres.dataDir)
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  return pids
}

function thaw(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGCONT')
}

/** A rewind whose leader goes away ends soon, and may be tried again. */
async function assertGivesUp(member: Member, leader: Member): Promise<void> {
  const divergence = await member.server.divergence(leader.upstream, within(20_000))
  const ended = member.server.rewind(leader.upstream, divergence, starting())
  const { ok, isFinal, says } = await within(40_000).run('the rewind', () => ended)
  assert.deepEqual([ok, isFinal], [false, false], says)
  assert.match(says, /^PostgreSQL at \S+ does not answer: /)
}

test('a leader that lets no superuser in from other hosts is waited for, until its own checkpoint shows its timeline', async () => {
  await writeFile(open, '')
  await followAgain(two, one)
  // So many pages that the checkpoint after the promotion, which takes its time, is far from its end.
  await sql(one, "CREATE TABLE pages AS SELECT repeat('x', 2000) AS t FROM generate_series(1, 4000)", 60_000)
  const { writeLsn = 0n } = await factsOf(one)
  await until('all of it', two, async () => ((await factsOf(two)).replayedLsn ?? 0n) >= writeLsn, 60_000)
  await two.server.follow(undefined, within(5_000))
  await until('nobody streams', one, async () => (await factsOf(one)).senders.length === 0)
  await sql(one, 'INSERT INTO story VALUES (3)')
  await one.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  const pgHba = two.settings.pgHba?.map(line => line.replace('host all all', 'host all rewinder')) ?? []
  await two.server.configure({ ...two.settings, pgHba }, within(10_000))
  assert.equal(await two.server.promote(within(20_000)), true)
  await assert.rejects(sql(two, 'SELECT 1'), /pg_hba/)
  const waiting = () =>
    one.log.filter(line => /waiting for the checkpoint of two before the rewind/.test(line))
  const saysSo = (times: number) => until('says so', one, async () => waiting().length === times, 30_000)
  const frozen = saysSo(1).then(() => freeze(two))
  await assertGivesUp(one, two)
  thaw(await frozen)
  const itsOwn = saysSo(2).then(async () => {
    // Here all are on one host: its own agent would be refused, too.
    await two.server.configure(two.settings, within(10_000))
    return two.server.checkpoint(within(60_000))
  })
  await rewound(one, two)
  assert.equal(await itsOwn, true)
  assert.equal(waiting().length, 2, one.log.join('\n'))
  await followAgain(one, two)
})

/** A pg_rewind whose source is full. */
async function refusedRewind(): Promise<string> {
  const program = join(rig.directory, 'pg_rewind-refused')
  const says =
    'pg_rewind: error: connection to server at \\"127.0.0.1\\" failed: FATAL:  sorry, too many clients'
  await writeFile(program, `#!/bin/sh\necho "${says}" >&2\nexit 1\n`, { mode: 0o755 })
  return program
}

test('a leader that takes no connection when the rewind wants one spoils nothing: it may be tried again', async () => {
  await crashWithoutArchive(two, one)
  const { config, settings } = two
  const raw = { ...config.postgres.raw, bin_name: { pg_rewind: await refusedRewind() } }
  const refused = rig.build({ ...config, postgres: { ...config.postgres, raw } }, settings)
  const divergence = await two.server.divergence(one.upstream, within(20_000))
  for (const [what, before, after] of [
    ['to pg_rewind', 'SELECT 1', 'SELECT 1'],
    ['to us', 'ALTER ROLE rewinder CONNECTION LIMIT 0', 'ALTER ROLE rewinder CONNECTION LIMIT -1'],
  ] as const) {
    await sql(one, before)
    const result = await refused.server.rewind(one.upstream, divergence, starting())
    assert.deepEqual([result.ok, result.isFinal], [false, false], `${what}: ${result.says}`)
    assert.match(result.says, /too many/)
    await sql(one, after)
  }
  assert.equal((await two.server.status(within(5_000))).dataDirectory, 'initialized')
  await rewound(two, one)
  await followAgain(two, one)
})

test('a comparison that gets no answer says whether asking again may help', async () => {
  for (const [what, before, after, isLasting] of [
    ['full', 'CONNECTION LIMIT 0', 'CONNECTION LIMIT -1', false],
    ['refused', 'NOLOGIN', 'LOGIN', true],
  ] as const) {
    await sql(one, `ALTER ROLE rewinder ${before}`)
    const said = await two.server.divergence(one.upstream, within(20_000))
    await sql(one, `ALTER ROLE rewinder ${after}`)
    assert.ok(said.kind === 'unknown', what)
    assert.equal(said.isLasting, isLasting, said.why)
  }
  const { config, settings } = two
  const rewind = { ...config.postgres.rewind, password: undefined }
  const nameless = rig.build({ ...config, postgres: { ...config.postgres, rewind } }, settings)
  const asked = await nameless.server.divergence(one.upstream, within(20_000))
  assert.ok(asked.kind === 'unknown' && asked.isLasting === true, JSON.stringify(asked.kind))
  assert.match(asked.why, /asks user "rewinder" for a password/)
})

test('a leader without its history file is told so, and that asking again does not help', async () => {
  const { timeline } = await factsOf(one)
  const history = join(one.config.postgres.dataDir, 'pg_wal', historyFileName(timeline))
  await rename(history, `${history}.aside`)
  const said = await two.server.divergence(one.upstream, within(20_000))
  await rename(`${history}.aside`, history)
  assert.ok(said.kind === 'unknown' && said.isLasting === true, JSON.stringify(said.kind))
  assert.match(said.why, /^one has no history of its timeline \d+: /)
})
