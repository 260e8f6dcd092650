// A rewind that needs WAL which our own server has thrown away: it is in the archive, or it is not.

import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { findBinaries } from '../../src/postgres/binaries.ts'
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
async function partWays(
  primary: Member,
  other: Member,
  mode: 'fast' | 'immediate' = 'fast',
): Promise<readonly string[]> {
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
  await primary.server.stop({ mode, checkpointFirst: false, by: within(30_000) })
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
  assert.equal(refused.isFinal, true, 'the archive will not have it the next time either')
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

/** pg_rewind as it was in 12: it fetches nothing, and ends no crash. */
async function oldRewind(): Promise<string> {
  const binaries = await findBinaries(
    { binDir: undefined, names: {}, preferMajor: undefined },
    within(10_000),
  )
  const program = join(rig.directory, 'pg_rewind-12')
  const text = `#!/bin/sh
for word; do
  shift
  case $word in --restore-target-wal) continue;; --target-pgdata=*) data=\${word#*=};; esac
  set -- "$@" "$word"
done
case $(${binaries.path('pg_controldata')} "$data" | sed -n 's/^Database cluster state: *//p') in
"shut down" | "shut down in recovery") ;;
*) echo "pg_rewind: fatal: target server must be shut down cleanly" >&2; exit 1;;
esac
exec ${binaries.path('pg_rewind')} --no-ensure-shutdown "$@"
`
  await writeFile(program, text, { mode: 0o755 })
  return program
}

test('with a pg_rewind that ends no crash and fetches nothing, both are done for it', async () => {
  const gone = await partWays(one, two, 'immediate')
  const { config, settings } = one
  const raw = { ...config.postgres.raw, bin_name: { pg_rewind: await oldRewind() } }
  const old = rig.build({ ...config, postgres: { ...config.postgres, raw } }, settings)
  const done = await rewind(old, two)
  assert.equal(done.ok, true, `${done.says}; gone were ${gone.join()}\n${old.log.join('\n')}`)
  const said = old.log.join('\n')
  assert.match(said, /ending the crash \(control file: in production\) in single-user mode before the rewind/)
  assert.match(said, /fetched WAL file [0-9A-F]{24} with restore_command for the rewind/)
  await followAgain(old, two)
  assert.deepEqual(await sql(old, "SELECT to_regclass('alone') AS found"), [{ found: null }])
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
