// No password is seen where others can look: command lines and environments, the server's log, its statistics, our log.

import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { makeCertificates, withPassPhrase } from '../support/certificates.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)
const PHRASE = 'phrase-of-the-key'
const ARCHIVE_KEY = 'key-of-the-archive'
let one: Member
let two: Member
let key: { readonly cert: string; readonly key: string }
let openKey: string

/** Of every process that we may look at, as often as the machine lets us. */
class Onlooker {
  readonly #seen = new Set<string>()
  #isOver = false
  readonly #done: Promise<void>
  looks = 0

  constructor() {
    this.#done = this.#look()
  }

  async end(): Promise<readonly string[]> {
    this.#isOver = true
    await this.#done
    return [...this.#seen]
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name) && name !== String(process.pid))
      for (const pid of pids) {
        for (const file of ['cmdline', 'environ']) {
          const text = await readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')
          if (text !== '') this.#seen.add(text)
        }
      }
      this.looks += 1
      await realClock.sleep(5)
    }
  }
}

function secretsOf({ config }: Member): readonly string[] {
  const { superuser, replication, rewind } = config.postgres
  return [superuser, replication, rewind]
    .map(({ password }) => password ?? 'none')
    .concat(PHRASE, ARCHIVE_KEY)
}

function assertNoSecret(where: string, text: string): void {
  for (const secret of secretsOf(one)) assert.ok(!text.includes(secret), `${where} shows a password`)
}

test('bootstrap, clone and rewind show no password in any command line or environment', async t => {
  const base = await rig.member('unused')
  const certificates = await makeCertificates(join(rig.directory, 'certificates'))
  const ofServer = await certificates.issue('server')
  const client = await certificates.issue('client')
  openKey = client.key
  key = { cert: client.cert, key: await withPassPhrase(client.key, PHRASE) }
  const pgHba = [
    'local all all trust',
    'hostssl replication repl 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
    'hostssl all rewinder 127.0.0.1/32 scram-sha-256 clientcert=verify-ca',
    'host all postgres 127.0.0.1/32 scram-sha-256',
  ]
  const parameters = {
    ...base.settings.parameters,
    log_statement: 'all',
    log_min_duration_statement: '0',
    log_min_error_statement: 'debug5',
    shared_preload_libraries: 'pg_stat_statements,pgaudit',
    'pgaudit.log': 'all',
    'pgaudit.log_parameter': 'on',
    'pg_stat_statements.track': 'all',
    ssl: 'on',
    ssl_cert_file: ofServer.cert,
    ssl_key_file: ofServer.key,
    ssl_ca_file: certificates.ca,
    // Never run: only PostgreSQL itself may show it.
    archive_command: `archive --key=${ARCHIVE_KEY} %p`,
  }
  one = await withPhrase(await rig.member('one', { parameters, pgHba }))
  two = await withPhrase(await rig.member('two', { parameters, pgHba }))
  const onlooker = new Onlooker()
  // A look that goes on would keep the process alive after a failure.
  t.after(() => onlooker.end())
  await one.server.bootstrap(starting())
  await two.server.clone(one.upstream, starting())
  await one.server.syncSlots(new Map([['two', undefined]]), await factsOf(one), within(5_000))
  assert.equal(await two.server.start('replica', one.upstream, starting()), true)
  await streams(one, 1)
  await two.server.follow(undefined, within(5_000))
  await streams(one, 0)
  // By reload, of which the server's log tells.
  await two.server.follow(one.upstream, within(5_000))
  await streams(one, 1)
  await two.server.follow(undefined, within(5_000))
  await streams(one, 0)
  await sql(one, 'CREATE TABLE more (id int)')
  await one.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.equal(await two.server.promote(within(20_000)), true)
  const divergence = await one.server.divergence(two.upstream, within(20_000))
  const { ok, says } = await one.server.rewind(two.upstream, divergence, starting())
  assert.equal(ok, true, says)
  await two.server.syncSlots(new Map([['one', undefined]]), await factsOf(two), within(5_000))
  assert.equal(await one.server.start('replica', two.upstream, starting()), true)
  await streams(two, 1)
  const seen = await onlooker.end()
  t.diagnostic(`${onlooker.looks} looks, ${seen.length} command lines and environments`)
  for (const tool of ['pg_basebackup', 'pg_rewind', 'initdb'])
    assert.ok(
      seen.some(text => text.includes(`/${tool}\0`)),
      `${tool} was never seen`,
    )
  assertNoSecret('a command line or an environment', seen.join('\n'))
})

async function streams(member: Member, count: number): Promise<void> {
  await until(`${count} stream from ${member.config.name}`, member, async () => {
    const { senders } = await factsOf(member)
    return senders.filter(({ state }) => state === 'streaming').length === count
  })
}

/** A client key with a pass phrase is the one secret that a password file cannot carry. */
async function withPhrase(member: Member): Promise<Member> {
  const { config, settings } = member
  const add = (who: typeof config.postgres.superuser) => ({
    ...who,
    options: { ...who.options, sslmode: 'require', sslcert: key.cert, sslkey: key.key, sslpassword: PHRASE },
  })
  const { replication, rewind } = config.postgres
  const postgres = { ...config.postgres, replication: add(replication), rewind: add(rewind) }
  return rig.build({ ...config, postgres }, settings)
}

test("neither the server's log with every statement in it, nor its statistics, nor our own log show one", async () => {
  for (const member of [one, two]) {
    assertNoSecret(
      `the log of ${member.config.name}`,
      await readFile(`${member.config.postgres.dataDir}.log`, 'utf8'),
    )
    assertNoSecret(`our log of ${member.config.name}`, member.log.join('\n'))
  }
  const log = await readFile(`${one.config.postgres.dataDir}.log`, 'utf8')
  assert.match(log, /CREATE ROLE "repl".*SCRAM-SHA-256/, 'the statements are in the log')
  await sql(two, 'CREATE EXTENSION pgaudit')
  assert.match(log, /AUDIT: SESSION,.*CREATE ROLE,.*ROLE ""repl""/, 'pgaudit has written it, too')
  const followed = await readFile(`${two.config.postgres.dataDir}.log`, 'utf8')
  assert.match(
    followed,
    /parameter "primary_conninfo" changed to ".*host=127\.0\.0\.1/,
    'the reload is in the log',
  )
  await sql(two, 'CREATE EXTENSION pg_stat_statements')
  const statements = await sql(two, 'SELECT query FROM pg_stat_statements')
  assert.ok(statements.length > 0)
  assertNoSecret('pg_stat_statements', statements.map(row => row['query']).join('\n'))
})

test('password files and service files are readable by their owner alone, and those of tools are gone', async () => {
  const names = await readdir(rig.directory)
  const passfiles = names.filter(name => name.endsWith('.pgpass'))
  assert.ok(passfiles.length >= 2)
  for (const name of passfiles) assert.equal((await stat(`${rig.directory}/${name}`)).mode & 0o777, 0o600)
  const services = names.filter(name => name.endsWith('.pgpass.service'))
  assert.equal(services.length, 2, 'each standby keeps the pass phrase for its receiver')
  for (const name of services) assert.equal((await stat(`${rig.directory}/${name}`)).mode & 0o777, 0o600)
  assert.deepEqual(
    names.filter(name => /^pgherd-/.test(name) && !name.endsWith('.log')),
    [],
  )
})

test('an agent that takes over a server with its service file follows on without a reload', async () => {
  const again = rig.build(one.config, one.settings)
  await factsOf(again)
  assert.equal(again.server.isFollowing(two.upstream), true)
})

test('a server that was started before the key had a pass phrase gets it in its settings, told, until it is restarted', async () => {
  const { replication } = one.config.postgres
  const { sslpassword: _phrase, ...options } = replication.options
  const postgres = {
    ...one.config.postgres,
    replication: { ...replication, options: { ...options, sslkey: openKey } },
  }
  await one.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  const before = rig.build({ ...one.config, postgres }, one.settings)
  assert.equal(await before.server.start('replica', two.upstream, starting()), true)
  await streams(two, 1)
  before.server.takeConfig(one.config)
  assert.equal(before.server.isFollowing(two.upstream), false)
  await before.server.follow(two.upstream, within(10_000))
  await streams(two, 1)
  assert.deepEqual(before.log.filter(line => /sslpassword/.test(line)).length, 1, 'it is told once')
  assert.ok(await settingOf(before, 'primary_conninfo').then(text => text.includes(PHRASE)))
  await before.server.stop({ mode: 'fast', checkpointFirst: false, by: within(20_000) })
  assert.equal(await before.server.start('replica', two.upstream, starting()), true)
  await streams(two, 1)
  assert.ok(await settingOf(before, 'primary_conninfo').then(text => !text.includes(PHRASE)))
})

async function settingOf(member: Member, name: string): Promise<string> {
  const [row] = await sql(member, `SELECT current_setting('${name}') AS value`)
  return row?.['value'] ?? ''
}
