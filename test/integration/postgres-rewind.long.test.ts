// What a rewind must not lose: WAL that only the crashed primary has and that waits for its archiver.

import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
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
