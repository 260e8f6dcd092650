// Everything that depends on the server's major version, from 12 to 18. What each of them knows is written down here as its
// manual has it; what we say to it must be within that.

import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { controlledNames, controlledValues } from '../../../src/config/agent/controlled.ts'
import { credentialKeys } from '../../../src/config/agent/known.ts'
import type { RoleSettings } from '../../../src/config/agent/types.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ConfigFiles, type Intent } from '../../../src/postgres/config-files.ts'
import { parseControlData } from '../../../src/postgres/control-data.ts'
import { DataDirectory } from '../../../src/postgres/data-directory.ts'
import { IDENTITY_SQL, observationSql, WANTED_SETTINGS_SQL } from '../../../src/postgres/facts.ts'
import { followsByReload, waitsForRestart } from '../../../src/postgres/following.ts'
import { createSlotSql } from '../../../src/postgres/logical-slots.ts'
import { configArguments, restoreArguments } from '../../../src/postgres/rewind.ts'
import { connectionWords } from '../../../src/postgres/settings-text.ts'
import { initdbArguments, optionList, plainCopyOptions } from '../../../src/postgres/tool-options.ts'

const MAJORS = [12, 13, 14, 15, 16, 17, 18] as const
/** Catalog versions of the releases, as pg_controldata prints them. */
const CATALOGS = [201909212, 202007201, 202107181, 202209061, 202307071, 202406281, 202506291]

const since = (major: number, first: number, names: string) => (major >= first ? names.split(' ') : [])
const until = (major: number, last: number, names: string) => (major <= last ? names.split(' ') : [])

const columns: Readonly<Record<string, (major: number) => readonly string[]>> = {
  pg_stat_wal_receiver: major => [
    ...'pid status receive_start_lsn receive_start_tli received_tli last_msg_send_time'.split(' '),
    ...'last_msg_receipt_time latest_end_lsn latest_end_time slot_name sender_host sender_port conninfo'.split(
      ' ',
    ),
    ...until(major, 12, 'received_lsn'),
    ...since(major, 13, 'written_lsn flushed_lsn'),
  ],
  pg_replication_slots: major => [
    ...'slot_name plugin slot_type datoid database temporary active active_pid xmin catalog_xmin'.split(' '),
    ...'restart_lsn confirmed_flush_lsn'.split(' '),
    ...since(major, 13, 'wal_status safe_wal_size'),
    ...since(major, 14, 'two_phase'),
    ...since(major, 16, 'conflicting'),
    ...since(major, 17, 'inactive_since invalidation_reason failover synced'),
    ...since(major, 18, 'two_phase_at'),
  ],
  pg_stat_replication: () => [
    ...'pid usesysid usename application_name client_addr client_hostname client_port backend_start'.split(
      ' ',
    ),
    ...'backend_xmin state sent_lsn write_lsn flush_lsn replay_lsn write_lag flush_lag replay_lag'.split(' '),
    ...'sync_priority sync_state reply_time'.split(' '),
  ],
}
/** The union over all majors: a word of it in a statement is meant as a column. */
const known = (view: string) => new Set(MAJORS.flatMap(major => columns[view]?.(major) ?? []))

function partOf(sql: string, view: string): string {
  if (view === 'pg_stat_wal_receiver')
    return [...sql.matchAll(/\bw\.(\w+)/g)].map(match => match[1]).join(' ')
  const end = sql.indexOf(`FROM ${view}`)
  return sql.slice(sql.lastIndexOf('(SELECT', end), end)
}

for (const major of MAJORS) {
  test(`what a server of ${major} is asked at each look are columns that it has`, () => {
    const sql = observationSql(major * 10_000 + 3)
    for (const view of Object.keys(columns)) {
      const has = new Set(columns[view]?.(major))
      const used = (partOf(sql, view).match(/\w+/g) ?? []).filter(word => known(view).has(word))
      assert.ok(used.length >= 4, `${view}: ${used.join()}`)
      assert.deepEqual(
        used.filter(word => !has.has(word)),
        [],
        `${view} on ${major}`,
      )
    }
  })
}

const looks = [
  ['the position that is written, not only flushed', /w\.written_lsn/, '. y y y y y y'],
  ['where its WAL is gone: a lost slot', /wal_status IS NOT DISTINCT FROM 'lost'/, '. y y y y y y'],
  ['rows that were removed under a slot on a standby', /conflicting/, '. . . . y . .'],
  ['why a slot is invalid', /invalidation_reason/, '. . . . . y y'],
  ['its own copies of slots', /failover, synced/, '. . . . . y y'],
  ['where it streams from', /current_setting\('primary_conninfo', true\)/, 'y y y y y y y'],
] as const
for (const [what, pattern, want] of looks) {
  test(`12 to 18 are asked for ${what}`, () => {
    const got = MAJORS.map(major => (pattern.test(observationSql(major * 10_000)) ? 'y' : '.'))
    assert.equal(got.join(' '), want)
  })
}

test('what is asked once is the same on each of them', () => {
  assert.doesNotMatch(IDENTITY_SQL + WANTED_SETTINGS_SQL, /\$|undefined/)
  // pg_control_system, pg_stat_activity.backend_type and pg_file_settings are older than 12.
  assert.match(IDENTITY_SQL, /pg_control_system\(\)/)
})

/** Of everything that an account may be given. */
function says(major: number, word: string): boolean {
  const options = Object.fromEntries([...credentialKeys].map(key => [key, 'x']))
  const who = { username: 'repl', password: undefined, options }
  return Object.hasOwn(connectionWords({ host: 'pg1', port: 5432 }, who, '/pass', major), word)
}

const tools: readonly (readonly [string, (major: number) => string, string])[] = [
  [
    'a new source is followed',
    major => (followsByReload(major) ? 'reload' : 'restart'),
    'restart reload reload reload reload reload reload',
  ],
  [
    'another restore_command is followed',
    major => (waitsForRestart(major, ['restore_command']) ? 'restart' : 'reload'),
    'restart restart reload reload reload reload reload',
  ],
  [
    'other settings that wait for a restart are the operator’s to order',
    major => (waitsForRestart(major, ['max_connections', 'shared_buffers']) ? 'restart' : 'wait'),
    'wait wait wait wait wait wait wait',
  ],
  ...(
    [
      ['sslmode', 'y y y y y y y'],
      ['gssencmode', 'y y y y y y y'],
      ['channel_binding', '. y y y y y y'],
      ['sslpassword', '. y y y y y y'],
      ['tcp_user_timeout', 'y y y y y y y'],
      ['sslcrl', 'y y y y y y y'],
      ['sslcrldir', '. . y y y y y'],
      ['sslnegotiation', '. . . . . y y'],
    ] as const
  ).map(
    ([word, want]) =>
      [`a standby and a tool say ${word}`, (major: number) => (says(major, word) ? 'y' : '.'), want] as const,
  ),
  [
    'pg_rewind fetches WAL itself',
    major => (restoreArguments(major, true, false).length > 0 ? 'y' : '.'),
    '. y y y y y y',
  ],
  [
    'pg_rewind is told of a config_dir',
    major => (configArguments(major, true, '/etc/pg.conf').length > 0 ? 'y' : '.'),
    '. . . y y y y',
  ],
  [
    'pg_rewind is told of none where there is none',
    major => (configArguments(major, false, 'x').length > 0 ? 'y' : '.'),
    '. . . . . . .',
  ],
  [
    'a copy is compressed on the server',
    major => String(plainCopyOptions(optionList([{ compress: 'server-lz4' }]), major).allowed.length),
    '0 0 0 1 1 1 1',
  ],
  [
    'a copy is compressed here, where it would have to be a tar file',
    major => String(plainCopyOptions(optionList([{ compress: 'gzip:9' }]), major).allowed.length),
    '0 0 0 0 0 0 0',
  ],
  [
    'initdb without checksums',
    major =>
      initdbArguments(optionList(['no-data-checksums']), major).includes('--no-data-checksums')
        ? 'told'
        : 'default',
    'default default default default default default told',
  ],
  [
    'initdb with nothing said of checksums',
    major => (initdbArguments([], major).includes('--data-checksums') ? 'with' : 'without'),
    'with with with with with with with',
  ],
  [
    'arguments of pg_create_logical_replication_slot',
    major => String(createSlotSql({ name: 'cdc', plugin: 'pgoutput' }, major * 10_000).split(',').length),
    '3 3 3 3 3 5 5',
  ],
]
for (const [what, look, want] of tools) {
  test(`on 12 to 18: ${what}`, () => assert.equal(MAJORS.map(look).join(' '), want))
}

test('from 17 on a new logical slot asks for copies on standbys, and is not for two-phase commits', () => {
  const sql = createSlotSql({ name: "it's", plugin: 'pgoutput' }, 170_004)
  assert.equal(sql, "SELECT pg_create_logical_replication_slot('it''s', 'pgoutput', false, false, true)")
})

test('the control file tells each of them by its catalog version', () => {
  const text = (catalog: number) =>
    `Catalog version number: ${catalog}\nDatabase system identifier: 7\nDatabase cluster state: in production\nLatest checkpoint location: 0/1\n`
  assert.deepEqual(
    CATALOGS.map(catalog => parseControlData(text(catalog))?.majorVersion),
    MAJORS,
  )
})

test('the parameters that all members share exist on each of them; how much WAL is kept has two names', () => {
  const names = MAJORS.map(major => {
    const { commandLine, walKeep, warnings } = controlledValues({ wal_keep_segments: 10 }, major)
    assert.deepEqual(warnings, [])
    for (const name of [...Object.keys(commandLine), ...Object.keys(walKeep)])
      assert.ok(controlledNames.has(name), `a member's own file could set ${name}`)
    return [Object.keys(commandLine).sort().join(), Object.entries(walKeep).join()] as const
  })
  const [first = ['', '']] = names
  // Each of these is in the manuals of 12 to 18.
  const shared =
    'hot_standby,max_connections,max_locks_per_transaction,max_prepared_transactions,max_replication_slots,max_wal_senders,max_worker_processes,track_commit_timestamp,wal_level,wal_log_hints'
  assert.equal(first[0], shared)
  assert.deepEqual(
    names.map(([line, keep]) => [line === first[0], keep]),
    MAJORS.map(major => [true, major < 13 ? 'wal_keep_segments,10' : 'wal_keep_size,160MB']),
  )
})

const room = await mkdtemp(join(tmpdir(), 'pgherd-majors-'))
after(() => rm(room, { recursive: true, force: true }))
const SETTINGS: RoleSettings = {
  parameters: { work_mem: '5MB' },
  recovery: { restore_command: 'cp /archive/%f %p' },
  pgHba: undefined,
  pgIdent: undefined,
}
const SOURCE = { primaryConninfo: 'host=10.0.0.1', primarySlotName: 'pg2' }
const intents: readonly (readonly [string, Intent, string])[] = [
  ['a primary', { role: 'primary' }, ''],
  ['a standby', { role: 'replica', source: SOURCE }, 'standby.signal'],
  [
    'a recovery up to a target',
    { role: 'recovery', settings: { recovery_target_name: 'noon' }, keepsExisting: false },
    'recovery.signal',
  ],
]
for (const [what, intent, signal] of intents) {
  test(`the files of ${what} on 11 and on 12 to 18`, async () => {
    for (const major of [11, ...MAJORS]) {
      const path = await mkdtemp(join(room, `${major}-`))
      await chmod(path, 0o700)
      await writeFile(join(path, 'postgresql.conf'), "# initdb's\n")
      // What an earlier role left.
      for (const name of ['standby.signal', 'recovery.signal', 'promote'])
        await writeFile(join(path, name), '')
      const data = new DataDirectory(path)
      const files = new ConfigFiles({ data, configDir: path, baseName: 'postgresql', customConf: undefined })
      const by = Deadline.in(realClock, 20_000)
      await files.write(SETTINGS, intent, major, by)
      await files.writeSignals(intent, major, by)
      const left = (await readdir(path)).filter(name => /signal|recovery|promote/.test(name))
      const old = signal === '' ? [] : ['recovery.conf']
      assert.deepEqual(left, major < 12 ? old : signal === '' ? [] : [signal], `${major}`)
      const main = await readFile(join(path, 'postgresql.conf'), 'utf8')
      const isInMain = /restore_command|primary_conninfo|recovery_target_name/.test(main)
      assert.equal(isInMain, major >= 12, `${major}: ${main}`)
      assert.match(main, /include 'postgresql\.base\.conf'/)
    }
  })
}
