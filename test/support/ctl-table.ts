// One table of ctl's commands. Each row is run by Debian's patronictl 3.0.2 and by ours on the same real cluster, and what
// they print is compared: tables column by column, everything else line by line.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import { ROLES } from '../../src/demo/member-config.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { callRest } from './rest-actions.ts'
import { type Ran, type RunOptions, runProgram } from './run-program.ts'

interface Row {
  /** Part of every run; the rest is for long runs. */
  readonly isCore?: true
  /** SCOPE, LEADER and REPLICA stand for the names of the cluster. */
  readonly words: readonly string[]
  readonly options?: RunOptions
  readonly code: number
  /** Ours must print this; theirs may lack it. */
  readonly prints?: RegExp
  /** Puts things back between theirs and ours, and after ours. */
  readonly restore?: Restore
}

type Restore = 'config' | 'schedules'

const sql = {
  env: { PGUSER: ROLES.superuser.username, PGPASSWORD: ROLES.superuser.password, PGSSLMODE: 'disable' },
}
const rows: readonly Row[] = [
  { words: ['list'], code: 0 },
  { isCore: true, words: ['list', 'SCOPE', '-e'], code: 0 },
  { words: ['list', '-f', 'tsv'], code: 0 },
  { isCore: true, words: ['topology'], code: 0, prints: /\| \+ / },
  { words: ['history'], code: 0 },
  { isCore: true, words: ['history', '-f', 'json'], code: 0 },
  { words: ['show-config'], code: 0, prints: /^loop_wait: 1$/m },
  { isCore: true, words: ['show-config', 'SCOPE'], code: 0 },
  { words: ['dsn'], code: 0, prints: /^host=\S+ port=\d+\n$/ },
  { isCore: true, words: ['dsn', 'SCOPE', '-r', 'replica'], code: 0 },
  { words: ['dsn', '-m', 'REPLICA'], code: 0 },
  { isCore: true, words: ['dsn', '-m', 'nobody'], code: 1 },
  { words: ['dsn', '-m', 'REPLICA', '-r', 'any'], code: 1 },
  {
    isCore: true,
    words: [
      'query',
      '-c',
      "SELECT 1 AS a, true AS b, NULL AS c, 'x y' AS d, 1.5::float8 AS e",
      '-d',
      'postgres',
    ],
    options: sql,
    code: 0,
    prints: /^a\tb\tc\td\te\n1\tTrue\tNone\tx y\t1\.5\n$/,
  },
  {
    words: ['query', '-c', 'SELECT 1 AS a, false AS b', '-d', 'postgres', '--format', 'json'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', "SELECT 1 AS a, 'on' AS b", '-d', 'postgres', '--format', 'yaml'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', "SELECT 1 AS a, 'x' AS b", '-d', 'postgres', '--format', 'pretty'],
    options: sql,
    code: 0,
  },
  {
    words: ['query', '-c', 'SELECT 1, 2', '-d', 'postgres', '--delimiter', ';'],
    options: sql,
    code: 0,
    prints: /1;2\n$/,
  },
  {
    isCore: true,
    words: ['query', '-c', 'SELEC', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /\tERROR, SQLSTATE: 42601\n$/,
  },
  {
    words: ['query', '-c', 'SELECT pg_is_in_recovery()', '-r', 'replica', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /True/,
  },
  {
    words: ['query', '-c', 'SELECT pg_is_in_recovery()', '-m', 'REPLICA', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /True/,
  },
  {
    words: ['query', '-c', 'SELECT 1', '-m', 'nobody', '-d', 'postgres'],
    options: sql,
    code: 0,
    prints: /No connection to member nobody is available/,
  },
  { words: ['query'], options: sql, code: 1 },
  { words: ['query', '-c', 'x', '-r', 'any', '-m', 'REPLICA'], options: sql, code: 1 },
  { isCore: true, words: ['version', 'SCOPE'], code: 0, prints: /^pg1: Patroni \S+ PostgreSQL 15\.\d+$/m },
  { words: ['version', 'SCOPE', 'REPLICA'], code: 0 },
  { words: ['edit-config', '-s', 'ttl=null', '-s', 'ttl=5', '--force'], code: 0, prints: /^Not changed\n$/ },
  {
    words: ['edit-config', '-s', 'x.y.z=1', '--force'],
    code: 0,
    prints: /^\+x:\n\+ {2}y:\n\+ {4}z: 1$/m,
    restore: 'config',
  },
  {
    // Shown and not applied: a pending restart would stay with the real one, and show in some of the tables that follow.
    words: ['edit-config', '-s', 'x=yes', '-p', 'superuser_reserved_connections=6'],
    options: { input: 'n\n' },
    code: 0,
    prints: /^\+ {4}superuser_reserved_connections: 6$/m,
  },
  {
    words: ['edit-config', '-s', 'x=yes', '-p', 'work_mem=6MB', '--force'],
    code: 0,
    prints: /^\+x: true$/m,
    restore: 'config',
  },
  {
    words: ['edit-config', '-p', 'pg_stat_statements.track=none', '-p', 'work_mem=null', '--force', '-q'],
    code: 0,
    prints: /^Configuration changed\n$/,
    restore: 'config',
  },
  { words: ['edit-config', '-s', 'x'], code: 1 },
  {
    words: ['edit-config', '-s', "x='1'"],
    options: { input: 'n\n' },
    code: 0,
    prints: /Apply these changes\? \[y\/N\]: /,
  },
  {
    isCore: true,
    words: ['edit-config', '-s', 'x=1'],
    options: { input: 'y\n' },
    code: 0,
    prints: /Configuration changed/,
    restore: 'config',
  },
  { words: ['edit-config', '-s', 'x=1'], code: 1 },
  {
    words: ['edit-config', '--apply', '-'],
    options: { input: 'x: {y: no}\n' },
    code: 0,
    prints: /Use --force option to apply changes/,
  },
  {
    words: ['edit-config', '--apply', '-', '--force'],
    options: { input: 'x: {y: no}\n' },
    code: 0,
    prints: /^\+ {2}y: false$/m,
    restore: 'config',
  },
  {
    words: ['edit-config'],
    options: { env: { EDITOR: '/usr/bin/true' } },
    code: 0,
    prints: /^Not changed\n$/,
  },
  { words: ['edit-config'], options: { env: { EDITOR: '/usr/bin/false' } }, code: 1 },
  {
    isCore: true,
    words: ['pause', '--wait'],
    code: 0,
    prints:
      /^'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n$/,
    restore: 'config',
  },
  { words: ['resume'], code: 1 },
  {
    isCore: true,
    words: ['reload', 'SCOPE', 'REPLICA', '--force'],
    code: 0,
    prints: /Reload request received for member \S+ and will be processed within 1 seconds\n$/,
  },
  {
    words: ['reload', 'SCOPE', 'REPLICA'],
    options: { input: 'y\n' },
    code: 0,
    prints: /Are you sure you want to reload members \S+\? \[y\/N\]: /,
  },
  { words: ['reload', 'SCOPE', 'REPLICA'], options: { input: 'n\n' }, code: 1 },
  { words: ['reload', 'SCOPE', 'nobody', '--force'], code: 1 },
  { words: ['reload', 'SCOPE', 'LEADER', '-r', 'replica', '--force'], code: 1 },
  {
    isCore: true,
    words: ['restart', 'SCOPE', 'REPLICA', '--force'],
    code: 0,
    prints: /^Success: restart on member \S+\n/m,
  },
  {
    words: ['restart', 'SCOPE', 'REPLICA'],
    options: { input: 'now\ny\n9.5.2\n' },
    code: 0,
    prints: /Failed: restart for member \S+, status code=503, \(restart conditions are not satisfied\)/,
  },
  { words: ['restart', 'SCOPE', 'LEADER', '--pending', '--force'], code: 0, prints: /status code=503/ },
  { words: ['restart', 'SCOPE', 'LEADER', '--pg-version', 'x', '--force'], code: 1 },
  {
    words: ['restart', 'SCOPE', 'LEADER', '--timeout', '-1', '--force'],
    code: 0,
    prints: /status code=400, \(Timeout should be a positive number of seconds\)/,
  },
  {
    words: ['restart', 'SCOPE', 'REPLICA', '--scheduled', '2037-01-01T10:00+00:00', '--force'],
    code: 0,
    prints: /Success: restart scheduled on member/,
    restore: 'schedules',
  },
  { words: ['restart', 'SCOPE', 'REPLICA', '--scheduled', 'soon', '--force'], code: 1 },
  {
    isCore: true,
    words: ['flush', 'SCOPE', 'REPLICA', 'restart', '--force'],
    code: 0,
    prints: /No scheduled restart for member/,
  },
  {
    isCore: true,
    words: ['flush', 'SCOPE', 'switchover'],
    code: 0,
    prints: /^No pending scheduled switchover\n$/,
  },
  { words: ['reinit', 'SCOPE', 'LEADER', '--force'], code: 1 },
  {
    isCore: true,
    words: ['reinit', 'SCOPE', 'REPLICA', '--force', '--wait'],
    code: 0,
    prints:
      /Success: reinitialize for member \S+\nWaiting for reinitialize to complete on: \S+\nReinitialize is completed on: \S+\n$/,
  },
  { words: ['remove', 'SCOPE'], options: { input: 'other\n' }, code: 1 },
  { words: ['remove', 'SCOPE'], options: { input: 'pgsql\nyes\n' }, code: 1 },
  { words: ['remove', 'SCOPE'], options: { input: 'pgsql\nYes I am aware\nnobody\n' }, code: 1 },
  { isCore: true, words: ['switchover', '--force', '--leader', 'nobody'], code: 1 },
  { isCore: true, words: ['failover', '--force'], code: 1 },
  { words: ['nonsense'], code: 2 },
  { isCore: true, words: ['list', '--nonsense'], code: 2 },
  { words: ['restart'], code: 2 },
]

/** Declares one test for each row of the part. */
export function testCtlTable(
  cluster: Cluster,
  program: readonly string[],
  keeper: 'pgherd' | 'patroni',
  part: 'core' | 'all',
): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  const runs = (words: readonly string[], options?: RunOptions): readonly (() => Promise<Ran>)[] => {
    const file = cluster.members[0]?.configFile ?? ''
    return [
      () => runProgram(['patronictl', '-c', file, ...words], options),
      () => runProgram([...program, 'ctl', '-c', file, ...words], options),
    ]
  }
  // No row changes who leads: it is asked once.
  let known: Promise<Readonly<Record<string, string>>> | undefined
  for (const { words, options, code, prints, restore } of rows.filter(
    row => part === 'all' || row.isCore === true,
  )) {
    const input = options?.input === undefined ? '' : ` with ${JSON.stringify(options.input)}`
    const editor = options?.env?.['EDITOR'] === undefined ? '' : ` in ${options.env['EDITOR']}`
    test(`on ${called} patronictl 3.0.2 and ours agree on: ${words.join(' ')}${input}${editor}`, async () => {
      known ??= namesOf(cluster)
      const names = await known
      const given = words.map(word => names[word] ?? word)
      const isQuick = restore === undefined && !['restart', 'reinit'].includes(words[0] ?? '')
      const before = restore === 'config' ? await configOf(cluster) : undefined
      const [expected, actual] = isQuick
        ? await Promise.all(runs(given, options).map(run => run()))
        : await oneAfterTheOther(cluster, runs(given, options), before)
      assert.ok(expected && actual)
      assert.deepEqual([actual.code, expected.code], [code, code], actual.stderr + expected.stderr)
      if (code === 2) return
      assert.deepEqual(comparable(actual.stdout), comparable(expected.stdout))
      if (code === 1) assert.equal(actual.stderr, expected.stderr)
      if (prints !== undefined) assert.match(actual.stdout, prints)
    })
  }
}

/** Theirs, then ours, with everything put back after each. */
async function oneAfterTheOther(
  cluster: Cluster,
  runs: readonly (() => Promise<Ran>)[],
  config: unknown,
): Promise<readonly Ran[]> {
  const answers: Ran[] = []
  for (const run of runs) {
    answers.push(await run())
    await restoreAll(cluster, config)
    await cluster.complete()
  }
  return answers
}

async function restoreAll(cluster: Cluster, config: unknown): Promise<void> {
  const leader = await cluster.leader()
  if (config !== undefined) {
    assert.equal((await callRest(leader, 'PUT /config', config)).code, 200)
    await waitFor('the end of a pause', { withinMs: 10_000 }, async () => {
      const states = await Promise.all(cluster.members.map(member => member.status()))
      return states.every(status => status['pause'] !== true)
    })
  }
  for (const member of cluster.members) await callRest(member, 'DELETE /restart', undefined)
  await settled(cluster)
}

const SETTLED_MS = 2_500

/** Both tools read the keys, which members write with their own turns: until none changes for longer than a turn takes. */
async function settled(cluster: Cluster): Promise<void> {
  let last = ''
  let sinceMs = performance.now()
  await waitFor('the keys of all members to be settled', { withinMs: 60_000, everyMs: 250 }, async note => {
    const keys = await Promise.all(cluster.members.map(member => memberKey(cluster, member.name)))
    const now = JSON.stringify(keys)
    note(now)
    const isGood = keys.every(({ state, scheduled_restart }) => state === 'running' && !scheduled_restart)
    if (now !== last || !isGood) sinceMs = performance.now()
    last = now
    return performance.now() - sinceMs > SETTLED_MS
  })
}

/** Without the positions, which move. */
async function memberKey(cluster: Cluster, name: string): Promise<Readonly<Record<string, unknown>>> {
  const value = await cluster.etcd.value(`/service/${cluster.scope}/members/${name}`)
  const key = JSON.parse(value ?? '') as Readonly<Record<string, unknown>>
  const moving = ['xlog_location', 'receive_lsn', 'replay_lsn', 'pgherd']
  return Object.fromEntries(Object.entries(key).filter(([field]) => !moving.includes(field)))
}

async function configOf(cluster: Cluster): Promise<unknown> {
  return JSON.parse((await (await cluster.leader()).rest('/config')).body)
}

async function namesOf(cluster: Cluster): Promise<Readonly<Record<string, string>>> {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  return { SCOPE: cluster.scope, LEADER: leader.name, REPLICA: replica?.name ?? '' }
}

/** Columns that both versions have; since 4.1 positions have columns of their own in place of one lag. */
const shared = [
  'Cluster',
  'Member',
  'Host',
  'Role',
  'State',
  'TL',
  'Pending restart',
  'Scheduled restart',
  'Tags',
]

/** Lines and cells: frames of tables are left out, times are made equal, columns that only one has are dropped. */
export function comparable(stdout: string): readonly unknown[] {
  const lines = stdout
    .split('\n')
    .filter(line => !/^\+[- +]|^\+ Cluster|^\+-/.test(line) || /^\+ {2,}\w/.test(line))
  let kept: readonly boolean[] | undefined
  return lines.map(line => {
    const isTable = line.startsWith('|')
    const isTsv = !isTable && line.includes('\t')
    if (!isTable && !isTsv) return timeless(line)
    const cells = isTable ? line.slice(1, -1).split('|') : line.split('\t')
    const trimmed = cells.map(cell => timeless(isTable ? cell.slice(1).trimEnd() : cell))
    const heads = trimmed.map(cell => cell.trim())
    if (heads.includes('Member')) kept = heads.map(head => shared.includes(head))
    const wanted = kept
    // The older one does not know that a standby streams.
    const told = trimmed.map(cell => (cell === 'streaming' ? 'running' : cell))
    return wanted === undefined ? told : told.filter((_cell, index) => wanted[index] !== false)
  })
}

function timeless(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?/g, 'TIME')
    .replace(/^patronictl version .*$/, 'patronictl version')
}
