// No password is seen where others can look: command lines and environments, the server's log, its statistics, our log.

import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import test, { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { factsOf, type Member, Rig, sql, until, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const starting = () => AbortSignal.timeout(90_000)
const PHRASE = 'phrase-of-the-key'
let one: Member
let two: Member

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
  return [superuser, replication, rewind].map(({ password }) => password ?? 'none').concat(PHRASE)
}

function assertNoSecret(where: string, text: string): void {
  for (const secret of secretsOf(one)) assert.ok(!text.includes(secret), `${where} shows a password`)
}

test('bootstrap, clone and rewind show no password in any command line or environment', async t => {
  const base = await rig.member('unused')
  const parameters = {
    ...base.settings.parameters,
    log_statement: 'all',
    log_min_duration_statement: '0',
    log_min_error_statement: 'debug5',
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track': 'all',
  }
  one = await withPhrase(await rig.member('one', { parameters }))
  two = await withPhrase(await rig.member('two', { parameters }))
  const onlooker = new Onlooker()
  await one.server.bootstrap(starting())
  await two.server.clone(one.upstream, starting())
  await one.server.syncSlots(new Map([['two', undefined]]), await factsOf(one), within(5_000))
  assert.equal(await two.server.start('replica', one.upstream, starting()), true)
  await two.server.follow(undefined, within(5_000))
  await until('nobody streams', one, async () => (await factsOf(one)).senders.length === 0)
  await sql(one, 'CREATE TABLE more (id int)')
  await one.server.stop({ mode: 'immediate', checkpointFirst: false, by: within(20_000) })
  assert.equal(await two.server.promote(within(20_000)), true)
  const divergence = await one.server.divergence(two.upstream, within(20_000))
  const { ok, says } = await one.server.rewind(two.upstream, divergence, starting())
  assert.equal(ok, true, says)
  const seen = await onlooker.end()
  t.diagnostic(`${onlooker.looks} looks, ${seen.length} command lines and environments`)
  for (const tool of ['pg_basebackup', 'pg_rewind', 'initdb'])
    assert.ok(
      seen.some(text => text.includes(`/${tool}\0`)),
      `${tool} was never seen`,
    )
  assertNoSecret('a command line or an environment', seen.join('\n'))
})

/** A client key with a pass phrase is the one secret that a password file cannot carry. */
async function withPhrase(member: Member): Promise<Member> {
  const { config, settings } = member
  const add = (who: typeof config.postgres.superuser) => ({
    ...who,
    options: { ...who.options, sslpassword: PHRASE },
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
  await sql(two, 'CREATE EXTENSION pg_stat_statements')
  const statements = await sql(two, 'SELECT query FROM pg_stat_statements')
  assert.ok(statements.length > 0)
  assertNoSecret('pg_stat_statements', statements.map(row => row['query']).join('\n'))
})

test('password files and service files are readable by their owner alone, and the latter are gone', async () => {
  const names = await readdir(rig.directory)
  const passfiles = names.filter(name => name.endsWith('.pgpass'))
  assert.ok(passfiles.length >= 2)
  for (const name of passfiles) assert.equal((await stat(`${rig.directory}/${name}`)).mode & 0o777, 0o600)
  assert.deepEqual(
    names.filter(name => /^pgherd-/.test(name) && !name.endsWith('.log')),
    [],
  )
})
