// Data that does not lie in the data directory: tablespaces, and WAL on a disk of its own. Whatever makes room for a copy
// makes room there too, and what is set aside can still be started.

import assert from 'node:assert/strict'
import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)
const at = (name: string) => join(rig.directory, name)
let leader: Member
let member: Member

/** A member whose WAL and whose part of the leader's tablespace lie beside its data directory. */
async function outside(name: string, more: Readonly<Record<string, string>> = {}): Promise<Member> {
  const { config, settings } = await rig.member(name)
  const basebackup = [
    { checkpoint: 'fast' },
    { waldir: at(`${name}-wal`) },
    { 'tablespace-mapping': `${at('space')}=${at(`${name}-space`)}` },
    ...Object.entries(more).map(([key, value]) => ({ [key]: value })),
  ]
  return rig.build({ ...config, postgres: { ...config.postgres, basebackup } }, settings)
}

async function follows(standby: Member): Promise<void> {
  assert.equal(await standby.server.start('replica', leader.upstream, starting()), true)
  await until('streaming', standby, async () => (await factsOf(standby)).replicationState === 'streaming')
  assert.deepEqual(await sql(standby, 'SELECT count(*)::text AS n FROM story'), [{ n: '5000' }])
}

test('a member with a tablespace and a WAL directory of their own is cloned', async () => {
  leader = await rig.member('leader')
  await leader.server.bootstrap(starting())
  await mkdir(at('space'))
  await sql(leader, `CREATE TABLESPACE space LOCATION '${at('space')}'`)
  await sql(leader, 'CREATE TABLE story TABLESPACE space AS SELECT generate_series(1, 5000) AS id')
  member = await outside('member')
  await member.server.clone(leader.upstream, starting())
  await leader.server.syncSlots(new Map([['member', undefined]]), await factsOf(leader), within(5_000))
  await follows(member)
})

test('ordered to be copied anew it is: what lay outside is gone with the rest', async () => {
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  await member.server.discard(within(20_000))
  for (const place of ['member', 'member-wal', 'member-space']) assert.deepEqual(await readdir(at(place)), [])
  await member.server.clone(leader.upstream, starting())
  await follows(member)
})

test('set aside, it keeps its tablespace and its WAL beside it, and a new copy has the places', async () => {
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const aside = await member.server.setAside(within(20_000))
  assert.equal(aside, at('member.failed'))
  const [link = ''] = await readdir(join(aside ?? '', 'pg_tblspc'))
  assert.equal(await readlink(join(aside ?? '', 'pg_tblspc', link)), at('member-space.failed'))
  assert.equal(await readlink(join(aside ?? '', 'pg_wal')), at('member-wal.failed'))
  await member.server.clone(leader.upstream, starting())
  await follows(member)
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const { config, settings } = member
  const old = rig.build({ ...config, postgres: { ...config.postgres, dataDir: aside ?? '' } }, settings)
  await follows(old)
  await old.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
})

test("another major's files in a tablespace's place are not ours to remove", async () => {
  await mkdir(at('member-space/PG_14_202107181'))
  await member.server.discard(within(20_000))
  assert.deepEqual(await readdir(at('member-space')), ['PG_14_202107181'])
})

test('a copy that breaks off within a tablespace is tried again, and has its place', async () => {
  await sql(leader, `INSERT INTO story SELECT generate_series(1, 200000)`)
  const slow = await outside('slow', { 'max-rate': '2M' })
  const copied = slow.server.clone(leader.upstream, starting())
  await until('files in the tablespace', slow, async () => {
    const files = await readdir(at('slow-space'), { recursive: true })
    return files.some(name => /\/\d+\/\d+$/.test(name))
  })
  await sql(
    leader,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE application_name = 'slow'",
  )
  await copied
  assert.ok(
    slow.log.some(line => /trying again/.test(line)),
    slow.log.join('\n'),
  )
  assert.ok((await readdir(at('slow-space'))).length > 0)
})

test("a place that was full before a copy is the operator's, whatever becomes of the copy", async () => {
  const other = await outside('other')
  await mkdir(at('other-space'))
  await writeFile(at('other-space/theirs'), 'theirs')
  await assert.rejects(other.server.clone(leader.upstream, starting()), /exists but is not empty/)
  assert.deepEqual(await readdir(at('other-space')), ['theirs'])
})
