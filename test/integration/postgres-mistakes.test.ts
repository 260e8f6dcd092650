// What is wrong around a server is told in one line with its cure, touches no data, and blocks nobody.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { UserError } from '../../src/platform/errors.ts'
import type { ServerConfig } from '../../src/postgres/context.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(60_000)

/** The same member with another `postgresql` or `bootstrap` section. */
function changed(
  member: Member,
  postgres: Partial<ServerConfig['postgres']>,
  bootstrap: Partial<ServerConfig['bootstrap']> = {},
): Member {
  const { config, settings } = member
  const both = {
    postgres: { ...config.postgres, ...postgres },
    bootstrap: { ...config.bootstrap, ...bootstrap },
  }
  return rig.build({ ...config, ...both }, settings)
}

/** The sentence of the UserError that `work` ends with, the test's own directory left out. */
async function mistake(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('no mistake was found'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof UserError, String(error))
  assert.equal(error.message.includes('\n'), false)
  return error.message.replaceAll(rig.directory, '<dir>')
}

const HUNG_WITHIN_MS = 1_000
/** Of a hundred on an idle machine. Whatever blocks the process until the deadline leaves it one or two. */
const BEATS_MIN = 10

/** Does the work, which waits for its deadline, and asserts that the process went on meanwhile. */
async function assertProcessGoesOn(t: TestContext, work: () => Promise<void>): Promise<void> {
  let last = realClock.monotonicMs()
  let longestMs = 0
  let beats = 0
  const timer = setInterval(() => {
    const now = realClock.monotonicMs()
    longestMs = Math.max(longestMs, now - last)
    last = now
    beats += 1
  }, HUNG_WITHIN_MS / 100)
  await work()
  clearInterval(timer)
  t.diagnostic(`${beats} beats, the longest pause ${Math.round(longestMs)} ms`)
  assert.ok(beats >= BEATS_MIN, `the process got ${beats} turns in ${HUNG_WITHIN_MS} ms`)
}

test('missing programs are named', async () => {
  const member = await rig.member('nowhere')
  assert.equal(
    await mistake(changed(member, { binDir: '/nonexistent/bin' }).server.verify(within(5000))),
    "PostgreSQL's program /nonexistent/bin/postgres is missing or may not be executed: install the server package or correct postgresql.bin_dir",
  )
})

test('an unreadable data directory is named and left alone', async () => {
  const member = await rig.member('locked')
  await mkdir(member.config.postgres.dataDir, { mode: 0o000 })
  assert.match(
    await mistake(member.server.verify(within(5000))),
    /^the data directory <dir>\/locked cannot be read by this user: .* postgresql\.data_dir in patroni\.yml$/,
  )
  assert.equal((await member.server.status(within(5000))).dataDirectory, 'unreadable')
  await chmod(member.config.postgres.dataDir, 0o700)
})

test('a directory with other files in it is never taken for an empty one', async () => {
  const member = await rig.member('photos')
  await mkdir(member.config.postgres.dataDir, { mode: 0o700 })
  await writeFile(join(member.config.postgres.dataDir, 'holiday.jpg'), 'x')
  assert.equal(
    await mistake(member.server.verify(within(5000))),
    'the data directory <dir>/photos holds files but no PostgreSQL cluster: empty it, or correct postgresql.data_dir in patroni.yml',
  )
  assert.match(await mistake(member.server.bootstrap(starting())), /is not empty: remove it/)
  assert.deepEqual(await readdir(member.config.postgres.dataDir), ['holiday.jpg'])
})

test('a data directory of another major version is refused before anything is started', async () => {
  const member = await rig.member('old')
  await mkdir(join(member.config.postgres.dataDir, 'global'), { recursive: true, mode: 0o700 })
  await chmod(member.config.postgres.dataDir, 0o700)
  await writeFile(join(member.config.postgres.dataDir, 'PG_VERSION'), '9\n')
  await writeFile(join(member.config.postgres.dataDir, 'global/pg_control'), '')
  assert.match(
    await mistake(member.server.verify(within(5000))),
    /^the data directory <dir>\/old belongs to PostgreSQL 9, but the programs are version \d+: install PostgreSQL 9, or correct postgresql\.bin_dir in patroni\.yml$/,
  )
})

test('options that only we may give to initdb are refused by name', async () => {
  const member = changed(await rig.member('options'), {}, { initdb: ['no-sync', { encoding: 'UTF8' }] })
  assert.equal(
    await mistake(member.server.bootstrap(starting())),
    'patroni.yml: bootstrap.initdb must not contain no-sync: remove it',
  )
})

let pg1: Member

test('post_bootstrap gets a connection string without password, and our variables stay with us', async () => {
  const script = join(rig.directory, 'post.sh')
  const seen = join(rig.directory, 'seen')
  await writeFile(
    script,
    `#!/bin/sh\necho "$1|$2|$PATRONI_SCOPE|$PGOPTIONS" > ${seen}\npsql "$2" -wAtc 'SELECT 1' >> ${seen}\n`,
  )
  await chmod(script, 0o755)
  process.env['PATRONI_SCOPE'] = 'ours'
  process.env['NOTIFY_SOCKET'] = '/run/ours'
  pg1 = changed(
    await rig.member('pg1'),
    {},
    {
      postBootstrap: `'${script}' "two words"`,
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
  )
  await pg1.server.bootstrap(starting())
  const [line = '', answer] = (await readFile(seen, 'utf8')).split('\n')
  const { port } = pg1.config.postgres
  assert.equal(
    line,
    `two words|host=127.0.0.1 port=${port} dbname=postgres user=postgres||-c synchronous_commit=local -c statement_timeout=0`,
  )
  assert.equal(answer, '1')
  const pid = (await pg1.server.status(within(5000))).postmasterPid ?? 0
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
  assert.doesNotMatch(environment, /PATRONI_|NOTIFY_SOCKET/)
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8')
  assert.doesNotMatch(commandLine, /secret/)
})

test('a post_bootstrap script that fails fails the bootstrap with its own words', async () => {
  const member = changed(await rig.member('unlucky'), {}, { postBootstrap: 'ls /nonexistent/thing' })
  await assert.rejects(
    member.server.bootstrap(starting()),
    /post_bootstrap failed \(exit code 2\): .*nonexistent/,
  )
  await member.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(10_000) })
})

test('a wrong superuser password is told apart from a server that is down', async () => {
  const wrong = changed(pg1, { superuser: { username: 'postgres', password: 'guess', options: {} } })
  const sentence = new RegExp(
    `^PostgreSQL at 127\\.0\\.0\\.1:${pg1.config.postgres.port} refused the password of user "postgres": correct postgresql\\.authentication\\.superuser\\.password in patroni\\.yml, or change the role's password on the leader$`,
  )
  assert.match(await mistake(wrong.server.verify(within(5000))), sentence)
  const status = await wrong.server.status(within(5000))
  assert.deepEqual([status.process, status.facts], ['running', undefined])
  assert.match(status.trouble ?? '', sentence)
  const missing = changed(pg1, { superuser: { username: 'postgres', password: undefined, options: {} } })
  assert.match(await mistake(missing.server.verify(within(5000))), /asks user "postgres" for a password/)
})

test('a missing database is named', async () => {
  assert.match(
    await mistake(changed(pg1, { database: 'nosuch' }).server.verify(within(5000))),
    /has no database "nosuch": create it, or correct postgresql\.database in patroni\.yml$/,
  )
})

test('a wrong replication password ends the clone at once and leaves the directory empty', async () => {
  const member = changed(await rig.member('pg2'), {
    replication: { username: 'repl', password: 'guess', options: {} },
  })
  assert.match(
    await mistake(member.server.clone(pg1.upstream, starting())),
    /^pg_basebackup from pg1 .*password authentication failed.*correct postgresql\.authentication\.replication in patroni\.yml/,
  )
  assert.equal((await member.server.status(within(5000))).dataDirectory, 'empty')
})

test("an option of pg_basebackup out of the cluster's configuration reaches it", async () => {
  const member = await rig.member('pg2b', { basebackup: [{ 'max-rate': 'walking pace' }] })
  await assert.rejects(member.server.clone(pg1.upstream, starting()), /"walking pace"/)
})

test('an aborted clone leaves the directory empty', async () => {
  const member = changed(await rig.member('pg3'), { basebackup: [{ 'max-rate': '1M' }] })
  const abort = new AbortController()
  const clone = member.server.clone(pg1.upstream, abort.signal)
  const outcome = clone.then(
    () => 'done',
    () => 'aborted',
  )
  await until(
    'the copy has begun',
    member,
    async () => (await readdir(member.config.postgres.dataDir)).length > 3,
  )
  abort.abort()
  assert.equal(await outcome, 'aborted')
  assert.deepEqual(await readdir(member.config.postgres.dataDir), [])
})

test('what a killed agent left of a clone is set aside, and the clone goes on', async () => {
  const member = await rig.member('pg4')
  const { dataDir } = member.config.postgres
  await cp(join(pg1.config.postgres.dataDir, 'base'), join(dataDir, 'base'), { recursive: true })
  await writeFile(join(dataDir, 'backup_label'), 'unfinished')
  await chmod(dataDir, 0o700)
  assert.equal((await member.server.status(within(5000))).dataDirectory, 'empty')
  await member.server.clone(pg1.upstream, starting())
  assert.deepEqual((await readdir(`${dataDir}.failed`)).sort(), ['backup_label', 'base'])
  assert.equal((await member.server.status(within(5000))).dataDirectory, 'initialized')
})

test('a clone of a server that is away fails after its second try', async () => {
  const member = await rig.member('pg5')
  const away = { member: 'away', address: { host: '127.0.0.1', port: 1 } }
  await assert.rejects(member.server.clone(away, starting()), /pg_basebackup from away .* failed: .*refused/)
  assert.equal(member.log.filter(line => /trying again in 5 s/.test(line)).length, 1)
})

test('while the server lives a look touches no file of the data directory', async () => {
  const { dataDir } = pg1.config.postgres
  await factsOf(pg1)
  await chmod(dataDir, 0o000)
  try {
    const status = await pg1.server.status(within(10_000))
    assert.equal(status.facts?.role, 'primary')
  } finally {
    await chmod(dataDir, 0o700)
  }
})

test('storage that hangs costs a look its deadline and the process nothing', async t => {
  await pg1.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const { dataDir } = pg1.config.postgres
  // Whoever opens it waits for a writer that never comes.
  execFileSync('mkfifo', [join(dataDir, 'postmaster.pid')])
  await assertProcessGoesOn(t, async () => {
    const startedMs = realClock.monotonicMs()
    const status = await pg1.server.status(within(HUNG_WITHIN_MS))
    const tookMs = realClock.monotonicMs() - startedMs
    assert.deepEqual([status.process, status.dataDirectory], ['stopped', 'unknown'])
    assert.match(status.trouble ?? '', /does not answer: its storage hangs or is very slow/)
    assert.ok(tookMs < 5 * HUNG_WITHIN_MS, `${tookMs} ms`)
  })
  const fresh = rig.build(pg1.config, pg1.settings)
  assert.equal((await fresh.server.status(within(300))).process, 'unknown')
  execFileSync('rm', [join(dataDir, 'postmaster.pid')])
  assert.equal((await pg1.server.status(within(5000))).process, 'stopped')
})

test('a pg_controldata that hangs is ended at its deadline and nothing is concluded', async t => {
  const sleeper = join(rig.directory, 'sleeper')
  await writeFile(sleeper, '#!/bin/sh\nsleep 30\n')
  await chmod(sleeper, 0o755)
  const slow = changed(pg1, { raw: { bin_name: { pg_controldata: sleeper } } })
  await assertProcessGoesOn(t, async () => {
    const startedMs = realClock.monotonicMs()
    assert.equal(await slow.server.controlData(within(HUNG_WITHIN_MS)), undefined)
    const tookMs = realClock.monotonicMs() - startedMs
    assert.ok(tookMs < 5 * HUNG_WITHIN_MS, `${tookMs} ms`)
  })
})

test('a server that cannot start says why', async () => {
  const broken = rig.build(pg1.config, {
    ...pg1.settings,
    parameters: { ...pg1.settings.parameters, shared_preload_libraries: 'nosuchlibrary' },
  })
  assert.equal(await broken.server.start('primary', undefined, starting()), false)
  assert.ok(
    broken.log.some(line => /error: PostgreSQL did not start: .*nosuchlibrary/.test(line)),
    broken.log.join('\n'),
  )
  assert.equal(await pg1.server.start('primary', undefined, starting()), true)
})

test('an agent whose log file cannot be written still has a server', async () => {
  await pg1.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const logFile = `${pg1.config.postgres.dataDir}.log`
  await chmod(logFile, 0o400)
  assert.equal(await pg1.server.start('primary', undefined, starting()), true)
  assert.equal((await sql(pg1, 'SELECT 1 AS one'))[0]?.['one'], '1')
})
