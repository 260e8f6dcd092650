// A new cluster from a base backup and an archive, up to a point in time, on real servers; and what is left when that fails.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { promisify } from 'node:util'
import type { BootstrapMethod } from '../../src/config/agent/types.ts'
import { serverBinDir } from '../../src/demo/member.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)
const archive = join(rig.directory, 'archive')
const backup = join(rig.directory, 'backup')
const script = join(rig.directory, 'restore.sh')
await mkdir(archive)
await writeFile(
  script,
  `#!/bin/sh
echo "$@" > ${rig.directory}/arguments
for word; do case "$word" in --datadir=*) data="\${word#--datadir=}";; --fail=*) echo "no such backup" >&2; exit 3;; esac; done
mkdir -p "$data" && cp -a ${backup}/. "$data" && chmod 700 "$data"
`,
  { mode: 0o755 },
)

const { settings } = await rig.member('unused')
const archiving = {
  parameters: {
    ...settings.parameters,
    archive_mode: 'on',
    archive_command: `cp %p ${archive}/%f`,
  },
}
const origin = await rig.member('origin', archiving)

const METHOD: BootstrapMethod = {
  name: 'pitr',
  command: script,
  options: [['stanza', 'main']],
  noParams: false,
  keepsRecovery: false,
  recovery: {
    restore_command: `cp ${archive}/%f %p`,
    recovery_target_name: 'noon',
    recovery_target_action: 'promote',
    recovery_target_timeline: 'latest',
  },
}

/** A member that makes its cluster by this method, with less connections than the origin had. */
async function restored(name: string, changes: Partial<BootstrapMethod> = {}): Promise<Member> {
  const { config, settings: plain } = await rig.member(name)
  const method = { ...METHOD, ...changes }
  const controlled = { ...plain.controlled, max_connections: '30' }
  return rig.build({ ...config, bootstrap: { ...config.bootstrap, method } }, { ...plain, controlled })
}

async function linesOf(member: Member): Promise<readonly unknown[]> {
  return (await sql(member, 'SELECT line FROM story ORDER BY 1')).map(row => row['line'])
}

test('a custom method restores a base backup up to a named point; the cluster has our passwords and nothing of later', async () => {
  await origin.server.bootstrap(starting())
  await sql(origin, "CREATE TABLE story (line text); INSERT INTO story VALUES ('before the backup')")
  const { connectAddress, replication } = origin.config.postgres
  const bin = await serverBinDir()
  const from = ['-h', connectAddress.host, '-p', String(connectAddress.port), '-U', replication.username]
  const env = { ...process.env, PGPASSWORD: replication.password ?? '' }
  await promisify(execFile)(join(bin, 'pg_basebackup'), ['-D', backup, '-c', 'fast', ...from], { env })
  await sql(origin, "INSERT INTO story VALUES ('before noon')")
  await sql(origin, "SELECT pg_create_restore_point('noon')")
  await sql(origin, "INSERT INTO story VALUES ('too late')")
  await sql(origin, "ALTER ROLE postgres PASSWORD 'super-secret'")
  const [last] = await sql(origin, 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  await sql(origin, 'SELECT pg_switch_wal()')
  await until('the archive', origin, async () => (await readdir(archive)).includes(last?.['name'] ?? ''))

  const member = await restored('restored')
  const systemId = await member.server.bootstrap(starting())
  assert.equal(systemId, (await factsOf(origin)).systemId, 'it is the same cluster, on a timeline of its own')
  const facts = await factsOf(member)
  assert.deepEqual([facts.role, facts.timeline], ['primary', 2])
  assert.deepEqual(await linesOf(member), ['before noon', 'before the backup'])
  assert.equal(
    (await readFile(join(rig.directory, 'arguments'), 'utf8')).trim(),
    `--scope=test --datadir=${member.config.postgres.dataDir} --stanza=main`,
  )
  const { dataDir } = member.config.postgres
  const conf = await readFile(join(dataDir, 'postgresql.conf'), 'utf8')
  assert.doesNotMatch(conf, /recovery_target|restore_command|listen_addresses = ''/)
  assert.ok(!(await readdir(dataDir)).includes('recovery.signal'))
  const [row] = await sql(
    member,
    "SELECT current_setting('hot_standby') AS standby, current_setting('hba_file') AS hba",
  )
  assert.deepEqual([row?.['standby'], row?.['hba']], ['on', join(dataDir, 'pg_hba.conf')])

  const standby = await rig.member('standby')
  await standby.server.clone(member.upstream, starting())
  await member.server.syncSlots(new Map([['standby', undefined]]), facts, within(10_000))
  assert.equal(await standby.server.start('replica', member.upstream, starting()), true)
  await until('streaming', standby, async () => (await factsOf(standby)).replicationState === 'streaming')
})

test('nobody but us gets in while it recovers', async () => {
  const member = await restored('private', {
    recovery: { ...METHOD.recovery, recovery_target_action: 'pause' },
  })
  const work = new AbortController()
  const bootstrap = member.server.bootstrap(work.signal).catch((error: unknown) => error)
  await until('the target', member, async () => {
    const log = await readFile(`${member.config.postgres.dataDir}.log`, 'utf8')
    return /pausing at the end of recovery/.test(log)
  })
  await assert.rejects(sql(member, 'SELECT 1'), /ECONNREFUSED/)
  work.abort(new Error('enough'))
  assert.match(String(await bootstrap), /enough/)
})

test('the recovery that the program itself prepared is kept where that is asked for', async () => {
  const own = join(rig.directory, 'own.sh')
  const auto = METHOD.recovery
  const lines = Object.entries(auto).map(([name, value]) => `${name} = '${value}'`)
  await writeFile(
    own,
    `#!/bin/sh
${script} "$@" || exit 1
for word; do case "$word" in --datadir=*) data="\${word#--datadir=}";; esac; done
cat >> "$data/postgresql.auto.conf" <<END
${lines.join('\n')}
END
touch "$data/recovery.signal"
`,
    { mode: 0o755 },
  )
  const member = await restored('kept', { command: own, keepsRecovery: true, recovery: {} })
  await member.server.bootstrap(starting())
  assert.deepEqual(await linesOf(member), ['before noon', 'before the backup'])
  const autoConf = await readFile(join(member.config.postgres.dataDir, 'postgresql.auto.conf'), 'utf8')
  assert.doesNotMatch(autoConf, /recovery_target/, 'afterwards it is gone')
})

const failures: readonly (readonly [string, Partial<BootstrapMethod>, RegExp])[] = [
  [
    'a program that fails',
    { options: [['fail', 'yes']] },
    /bootstrap method pitr failed: exit code 3: no such backup/,
  ],
  [
    'a program that is not there',
    { command: '/no/such/program' },
    /\/no\/such\/program is not there or may not be run/,
  ],
  ['a program that leaves nothing', { command: '/bin/true' }, /there is no cluster in the data directory/],
  [
    'a target that the archive does not reach',
    { recovery: { ...METHOD.recovery, recovery_target_name: 'midnight' } },
    /ended during its recovery: .*recovery ended before configured recovery target was reached/,
  ],
]
for (const [what, changes, says] of failures) {
  test(`a custom bootstrap ends with what is wrong: ${what}`, async () => {
    const member = await restored(`failing-${failures.findIndex(row => row[0] === what)}`, changes)
    await assert.rejects(member.server.bootstrap(starting()), says)
    const where = await member.server.setAside(within(10_000))
    if (changes.recovery === undefined) assert.equal(where, undefined, 'nothing was made, nothing is kept')
    else await access(join(where ?? '', 'PG_VERSION'))
  })
}
