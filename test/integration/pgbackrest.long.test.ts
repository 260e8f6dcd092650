// The real pgBackRest with a repository on this machine's disk: replicas from it, WAL from it, a cluster from it.

import assert from 'node:assert/strict'
import { chown, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { Cluster } from '../../src/demo/cluster.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { quickBinDir } from '../support/tools.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const layout = new LoopbackLayout(work.data, work.logs)
const shared = { layout, program: work.program, binDir: await quickBinDir(), proxies: 0 }
const cluster = await Cluster.create({
  ...shared,
  etcd: 1,
  members: 2,
  // Nothing keeps WAL for a member that is away, and little of it stays: what it lacks is in the repository alone.
  parameters: { fsync: 'off', archive_mode: 'on', wal_keep_size: '16MB', max_wal_size: '32MB' },
  dcs: { postgresql: { use_slots: false } },
})
work.defer(() => cluster.remove())
const [one, two] = cluster.members
assert.ok(one && two)
const repository = path.join(work.data, 'repository')

/** The command line of pgBackRest on a member's host, whose file names that host's own server. */
const backrest = (member: Member, words: string) =>
  `pgbackrest --config=${member.host.path('pgbackrest.conf')} --stanza=main ${words}`

async function ownedDirectory(directory: string, { host }: Member): Promise<void> {
  await mkdir(directory, { recursive: true })
  await chown(directory, host.account.uid, host.account.gid)
}

/** Writes the host's pgbackrest.conf, as somebody who runs a repository does. */
async function installBackrest(member: Member): Promise<void> {
  const { host, config, dataDir } = member
  for (const name of ['backrest-log', 'backrest-lock', 'backrest-spool'])
    await ownedDirectory(host.path(name), member)
  const lines = [
    '[global]',
    `repo1-path=${repository}`,
    `log-path=${host.path('backrest-log')}`,
    `lock-path=${host.path('backrest-lock')}`,
    `spool-path=${host.path('backrest-spool')}`,
    'log-level-console=warn',
    'log-level-file=info',
    'start-fast=y',
    '[main]',
    `pg1-path=${dataDir}`,
    `pg1-socket-path=${config.runDir}`,
    `pg1-port=${config.postgresPort}`,
    'pg1-user=postgres',
  ]
  await writeFile(host.path('pgbackrest.conf'), `${lines.join('\n')}\n`)
}

const keeping = (member: Member) => ({
  parameters: { archive_command: backrest(member, 'archive-push %p') },
  recovery_conf: { restore_command: backrest(member, 'archive-get %f "%p"') },
  create_replica_methods: ['pgbackrest', 'basebackup'],
  pgbackrest: { command: backrest(member, '--delta restore'), keep_data: true, no_params: true },
})

/** Runs pgBackRest on the member's host and waits for its good end. */
async function runBackrest(member: Member, words: string): Promise<void> {
  const name = `pgbackrest-${words.split(' ').at(-1)}`
  const env = { PGPASSFILE: path.join(member.config.runDir, 'pgpass') }
  const run = member.host.server({ name, command: backrest(member, words).split(' '), env })
  await run.start()
  assert.equal((await run.exit).code, 0, await readFile(run.logFile, 'utf8'))
}

/** How often a restore on this host has come to its good end. */
async function restores({ host }: Member): Promise<number> {
  const log = await readFile(host.path('backrest-log', 'main-restore.log'), 'utf8').catch(() => '')
  return log.split('restore command end: completed successfully').length - 1
}

async function rowsOf(member: Member): Promise<readonly string[]> {
  return (await member.query<{ line: string }>('SELECT line FROM story ORDER BY 1')).map(row => row.line)
}

async function reinitialize(member: Member): Promise<void> {
  const { code, body } = await member.rest('/reinitialize', { method: 'POST', body: '{}' })
  assert.equal(code, 200, body)
}

test('a replica is copied from the repository, catches up from there and streams', async t => {
  await ownedDirectory(repository, one)
  for (const member of cluster.members) {
    await installBackrest(member)
    await member.configure({ postgresql: keeping(member) })
  }
  await cluster.etcd.start()
  await one.agent.start()
  await cluster.leader()
  await runBackrest(one, 'stanza-create')
  await one.query("CREATE TABLE story AS SELECT 'before the backup' AS line")
  await runBackrest(one, '--type=full backup')
  await one.query("INSERT INTO story VALUES ('after the backup')")
  const beganMs = performance.now()
  await two.agent.start()
  await cluster.complete()
  t.diagnostic(`copied and streaming after ${Math.round(performance.now() - beganMs)} ms`)
  assert.equal(await restores(two), 1)
  assert.deepEqual(await rowsOf(two), ['after the backup', 'before the backup'])
  assert.doesNotMatch(await readFile(two.agent.logFile, 'utf8'), /replica method .* failed/)
})

test('what its recovery settings were for the copy is gone, and ours are there', async () => {
  const auto = await readFile(path.join(two.dataDir, 'postgresql.auto.conf'), 'utf8')
  assert.doesNotMatch(auto, /^restore_command/m)
  const [row] = await two.query<{ command: string }>("SELECT current_setting('restore_command') AS command")
  assert.equal(row?.command, backrest(two, 'archive-get %f "%p"'))
})

test('a fresh copy that is ordered keeps what is the same', async t => {
  await writeFile(path.join(two.dataDir, 'left-behind'), 'x')
  const beganMs = performance.now()
  await reinitialize(two)
  await waitFor('the second restore', { withinMs: 60_000 }, async () => (await restores(two)) === 2)
  await cluster.complete()
  t.diagnostic(`copied again after ${Math.round(performance.now() - beganMs)} ms`)
  const log = await readFile(two.host.path('backrest-log', 'main-restore.log'), 'utf8')
  assert.match(log, /remove invalid files\/links\/paths from/, 'the delta of pgBackRest was at work')
  assert.ok(!(await readdir(two.dataDir)).includes('left-behind'))
})

test('a replica that was away for longer than its leader keeps WAL gets it from the repository', async () => {
  await two.agent.stop(30_000)
  const missing = (
    await one.query<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  )[0]?.name
  assert.ok(missing)
  await waitFor(`${missing} to be gone`, { withinMs: 60_000 }, async () => {
    await one.query("INSERT INTO story VALUES ('while away')")
    await one.query('SELECT pg_switch_wal()')
    await one.query('CHECKPOINT')
    return !(await readdir(path.join(one.dataDir, 'pg_wal'))).includes(missing)
  })
  await two.agent.start()
  await cluster.complete()
  assert.deepEqual(await rowsOf(two), await rowsOf(one))
  assert.equal(await restores(two), 2, 'nothing was copied')
  const { directory, file } = two.config.serverLog
  assert.match(
    await readFile(path.join(directory, file), 'utf8'),
    new RegExp(`restored log file "${missing}" from archive`),
  )
})

test('without the repository the next method makes the copy, and the log says why', async () => {
  await rename(repository, `${repository}-away`)
  await reinitialize(two)
  await waitFor('the log', { withinMs: 60_000 }, async () =>
    /replica method pgbackrest failed: exit code \d+: .*(repo|backup|stanza)/.test(
      await readFile(two.agent.logFile, 'utf8'),
    ),
  )
  await cluster.complete()
  await rename(`${repository}-away`, repository)
  assert.equal(await restores(two), 2)
  assert.deepEqual(await rowsOf(two), await rowsOf(one))
})

test('a new cluster is made from the repository up to a named point, and nothing of later is in it', async t => {
  await one.query("INSERT INTO story VALUES ('in time')")
  await one.query("SELECT pg_create_restore_point('noon')")
  await one.query("INSERT INTO story VALUES ('too late')")
  await runBackrest(one, 'check')
  const copy = await Cluster.create({
    ...shared,
    etcd: cluster.etcd,
    scope: 'copy',
    prefix: 'new-',
    members: 1,
    parameters: { fsync: 'off' },
  })
  const [member] = copy.members
  assert.ok(member)
  work.defer(() => member.host.remove())
  await installBackrest(member)
  await member.configure({
    bootstrap: {
      method: 'pgbackrest',
      pgbackrest: {
        command: backrest(member, '--type=name --target=noon --target-action=promote restore'),
        no_params: true,
        keep_existing_recovery_conf: true,
      },
    },
  })
  const beganMs = performance.now()
  await member.agent.start()
  await copy.leader()
  t.diagnostic(`leads after ${Math.round(performance.now() - beganMs)} ms`)
  const lines = await rowsOf(member)
  assert.ok(lines.includes('in time') && !lines.includes('too late'), lines.join())
  const [row] = await member.query<{ command: string; timeline: number }>(
    "SELECT current_setting('restore_command') AS command, timeline_id AS timeline FROM pg_control_checkpoint()",
  )
  assert.equal(row?.command, '')
  assert.ok((row?.timeline ?? 0) > 1)
})
