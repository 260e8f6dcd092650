// Replicas made by programs of the operator's: what they are told, in which order they are tried, and what their failures cost.

import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import type { ReplicaMethod } from '../../src/config/agent/types.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)

const base = { options: [], noParams: false, keepData: false, noLeader: false }
const basebackup: ReplicaMethod = { ...base, name: 'basebackup', command: undefined }
const program = (name: string, changes: Partial<ReplicaMethod> = {}): ReplicaMethod => ({
  ...base,
  name,
  command: join(rig.directory, name),
  ...changes,
})

async function script(name: string, text: string): Promise<void> {
  await writeFile(join(rig.directory, name), `#!/bin/sh\n${text}\n`)
  await chmod(join(rig.directory, name), 0o755)
}

async function withMethods(name: string, replicaMethods: readonly ReplicaMethod[]): Promise<Member> {
  return rig.member(name, { replicaMethods })
}

let leader: Member
const kept = join(rig.directory, 'kept')

test('a program gets scope, role, directory, connection and its own keys; the copy streams', async () => {
  leader = await rig.member('leader')
  await leader.server.bootstrap(starting())
  await sql(leader, 'CREATE TABLE story AS SELECT 1 AS id')
  await script(
    'told',
    `printf '%s\\n' "$@" > ${rig.directory}/arguments; env > ${rig.directory}/environment
for a in "$@"; do case $a in --datadir=*) d=\${a#*=};; --connstring=*) c=\${a#*=};; esac; done
pg_basebackup -D "$d" -d "$c" -X stream -c fast && cp -r "$d" ${kept}`,
  )
  const member = await withMethods('told-member', [program('told', { options: [['stanza', 'main db']] })])
  await member.server.clone(leader.upstream, starting())
  const { dataDir } = member.config.postgres
  const [scope, role, datadir, connstring, stanza] = (
    await readFile(`${rig.directory}/arguments`, 'utf8')
  ).split('\n')
  assert.deepEqual(
    [scope, role, datadir, stanza],
    ['--scope=test', '--role=replica', `--datadir=${dataDir}`, '--stanza=main db'],
  )
  assert.match(connstring ?? '', /^--connstring=host=127\.0\.0\.1 port=\d+ user=repl /)
  const environment = await readFile(`${rig.directory}/environment`, 'utf8')
  for (const text of [connstring, environment])
    assert.ok(!text?.includes(leader.config.postgres.replication.password ?? ''))
  await leader.server.syncSlots(new Map([['told_member', undefined]]), await factsOf(leader), within(5_000))
  assert.equal(await member.server.start('replica', leader.upstream, starting()), true)
  await until('streaming', member, async () => (await factsOf(member)).replicationState === 'streaming')
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
})

test('the first that succeeds wins; what failed before it is told, and its leavings are gone', async () => {
  await script(
    'fails',
    `for a in "$@"; do case $a in --datadir=*) d=\${a#*=};; esac; done
mkdir -p "$d"; touch "$d/leavings"; echo no such backup >&2; exit 3`,
  )
  await script('lies', 'exit 0')
  const missing = program('patroni_barman', { command: 'patroni_barman' })
  const member = await withMethods('chain', [program('fails'), program('lies'), missing, basebackup])
  await member.server.clone(leader.upstream, starting())
  const files = await readdir(member.config.postgres.dataDir)
  assert.ok(files.includes('PG_VERSION') && !files.includes('leavings'))
  const told = member.log.filter(line => line.includes('replica method'))
  assert.match(told[0] ?? '', /replica method fails failed: exit code 3: no such backup$/)
  assert.match(told[1] ?? '', /replica method lies failed: it ended well, but there is no cluster/)
  assert.match(
    told[2] ?? '',
    /patroni_barman is part of the package patroni from 4\.0 on, .* this does the same: \{command: /,
  )
})

test('when all fail the last failure is told, and the directory is empty', async () => {
  const member = await withMethods('none', [program('lies'), program('fails')])
  await assert.rejects(member.server.clone(leader.upstream, starting()), /replica method fails failed/)
  assert.deepEqual(await readdir(member.config.postgres.dataDir), [])
})

test('without a leader only programs that need none are run, with an empty connection', async () => {
  await script(
    'archive',
    `printf '%s\\n' "$@" > ${rig.directory}/told-alone
for a in "$@"; do case $a in --datadir=*) d=\${a#*=};; esac; done; mkdir -p -m 700 "$d"; cp -r ${kept}/. "$d"`,
  )
  const member = await withMethods('alone', [basebackup, program('archive', { noLeader: true })])
  await member.server.clone(undefined, starting())
  assert.match(await readFile(`${rig.directory}/told-alone`, 'utf8'), /^--connstring=$/m)
  assert.equal(await member.server.start('replica', undefined, starting()), true)
  assert.equal((await factsOf(member)).role, 'replica')
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const nobody = await withMethods('nobody', [basebackup])
  await assert.rejects(nobody.server.clone(undefined, starting()), /no replica method works without a leader/)
})

test('keep_data leaves what is there to the program, and sets it aside for the next one when it fails', async () => {
  const member = await withMethods('keeper', [program('delta', { keepData: true }), basebackup])
  await member.server.clone(leader.upstream, starting()).catch(() => {})
  const { dataDir } = member.config.postgres
  await writeFile(join(dataDir, 'mine'), 'x')
  await member.server.discard(within(20_000))
  assert.ok((await readdir(dataDir)).includes('mine'), 'an order for a fresh copy leaves it, too')
  await script('delta', 'exit 0')
  await member.server.clone(leader.upstream, starting())
  assert.ok((await readdir(dataDir)).includes('mine'))
  await script('delta', 'exit 1')
  await member.server.clone(leader.upstream, starting())
  assert.ok(!(await readdir(dataDir)).includes('mine'))
  assert.ok((await readdir(`${dataDir}.failed`)).includes('mine'))
})

test('what a method that keeps data left half-done is never started: it is given to the method again', async () => {
  const member = await withMethods('half', [program('delta', { keepData: true })])
  const { dataDir } = member.config.postgres
  const look = async () => (await member.server.status(within(5_000))).dataDirectory
  await script(
    'delta',
    `for a in "$@"; do case $a in --datadir=*) d=\${a#*=};; esac; done
mkdir -p -m 700 "$d"; cp -r ${kept}/. "$d"; rm -rf "$d/pg_xact"; exit 7`,
  )
  await assert.rejects(member.server.clone(leader.upstream, starting()), /exit code 7/)
  assert.equal(await look(), 'empty', 'to the agent there is no cluster')
  await writeFile(join(dataDir, 'mine'), 'x')
  await script('delta', 'exit 8')
  await assert.rejects(member.server.clone(leader.upstream, starting()), /exit code 8/)
  assert.equal(await look(), 'empty')
  await script(
    'delta',
    `for a in "$@"; do case $a in --datadir=*) d=\${a#*=};; esac; done
cp -r ${kept}/. "$d"`,
  )
  await member.server.clone(leader.upstream, starting())
  assert.equal(await look(), 'initialized')
  assert.ok((await readdir(dataDir)).includes('mine'), 'it was not set aside meanwhile')
  await script('delta', 'exit 9')
  const empty = await withMethods('nothing', [program('delta', { keepData: true }), basebackup])
  await empty.server.clone(leader.upstream, starting())
  assert.equal((await empty.server.status(within(5_000))).dataDirectory, 'initialized')
})

test('a method that keeps data and was ended before it wrote anything does not spoil the next copy', async () => {
  const member = await withMethods('ended', [program('delta', { keepData: true })])
  await script('delta', 'sleep 60')
  await mkdir(member.config.postgres.dataDir, { mode: 0o700 })
  await assert.rejects(member.server.clone(leader.upstream, AbortSignal.timeout(1_000)))
  assert.ok((await readdir(rig.directory)).includes('ended.rewinding'), 'the note was written')
  const next = rig.build(member.config, { ...member.settings, replicaMethods: [basebackup] })
  await next.server.clone(leader.upstream, starting())
  assert.equal((await next.server.status(within(5_000))).dataDirectory, 'initialized')
})

test("Patroni's own program for WAL-E is run when it is installed", async () => {
  // Its own programs, envdir and wal-e, are played: the one gives an environment, the other has one backup.
  const bin = join(rig.directory, 'bin')
  await mkdir(bin)
  await script('bin/envdir', 'shift; exec "$@"')
  await script(
    'bin/wal-e',
    `case $1 in
backup-list) printf '%s\\t' name last_modified expanded_size_bytes wal_segment_backup_start; echo wal_segment_offset_backup_start
  printf '%s\\t' base_1 2026-11-26 900000000000 000000010000000000000002; echo 40;;
backup-fetch) mkdir -p -m 700 "$2"; cp -r ${kept}/. "$2";;
esac`,
  )
  const before = process.env['PATH']
  process.env['PATH'] = `${bin}:${before}`
  try {
    const method = program('wal_e', {
      command: 'patroni_wale_restore',
      options: [
        ['envdir', rig.directory],
        ['retries', '0'],
      ],
    })
    const member = await withMethods('wale-member', [method])
    await member.server.clone(leader.upstream, starting())
    assert.ok((await readdir(member.config.postgres.dataDir)).includes('PG_VERSION'))
    assert.doesNotMatch(member.log.join(), /failed/)
  } finally {
    process.env['PATH'] = before
  }
})

test('a recovery setting that PostgreSQL does not know is left out and told, and the server starts', async () => {
  const recovery = { restore_command: 'false', recovery_min_aply_delay: '5min' }
  const member = await rig.member('odd', { recovery })
  await member.server.clone(leader.upstream, starting())
  assert.equal(await member.server.start('replica', leader.upstream, starting()), true)
  assert.match(
    member.log.join('\n'),
    /warning: postgresql\.recovery_conf\.recovery_min_aply_delay is left out: PostgreSQL says: unrecognized/,
  )
  assert.equal((await sql(member, 'SHOW restore_command'))[0]?.['restore_command'], 'false')
  await member.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
})
