// One table of ctl's commands. Each row is run by Debian's patronictl 3.0.2 and by ours on the same real cluster, and what
// they print is compared: tables column by column, everything else line by line.

import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import type { Cluster } from '../../src/demo/cluster.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { ctlRows, ONE_SQL } from './ctl-rows.ts'
import { callRest } from './rest-actions.ts'
import { type Ran, type RunOptions, runProgram } from './run-program.ts'

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
  for (const { words, options, code, prints, since, restore } of ctlRows.filter(
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
      const fed = options?.input === 'CONFIG' ? { ...options, input: withOneMore(before) } : options
      const [expected, actual] = isQuick
        ? await Promise.all(runs(given, fed).map(run => run()))
        : await oneAfterTheOther(cluster, runs(given, fed), before)
      assert.ok(expected && actual)
      assert.deepEqual([actual.code, expected.code], [code, code], actual.stderr + expected.stderr)
      if (code === 2) return
      assert.deepEqual(comparable(actual.stdout), comparable(expected.stdout))
      if (code === 1 && since === undefined) assert.equal(actual.stderr, expected.stderr)
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

function withOneMore(config: unknown): string {
  return JSON.stringify({ ...(config as object), x: { y: false } })
}

async function namesOf(cluster: Cluster): Promise<Readonly<Record<string, string>>> {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  return {
    SCOPE: cluster.scope,
    LEADER: leader.name,
    REPLICA: replica?.name ?? '',
    SQLFILE: ONE_SQL,
  }
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

/** Lines and cells: frames of tables are left out but for their titles, times are made equal, columns that only one has are dropped. */
export function comparable(stdout: string): readonly unknown[] {
  const listed = readListed(stdout)
  if (listed !== undefined) return listed
  const lines = stdout
    .split('\n')
    // Of the frame only the title counts; the older one has the name alone, without the system identifier.
    .map(line => /^\+ (Cluster: \S+)/.exec(line)?.[1] ?? line)
    .filter(line => !/^\+[- +]/.test(line) || /^\+ {2,}\w/.test(line))
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

/** The rows of a list of members in JSON or YAML, with what both versions have. */
function readListed(stdout: string): readonly unknown[] | undefined {
  if (!/^(\[\{|- )/.test(stdout)) return undefined
  const rows = parse(stdout) as readonly Readonly<Record<string, unknown>>[]
  if (!rows.every(row => 'Member' in row)) return undefined
  return rows.map(row =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([key]) => shared.includes(key))
        .map(([key, value]) => [key, value === 'streaming' ? 'running' : value]),
    ),
  )
}

/** The line with its times made equal. */
export function timeless(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?/g, 'TIME')
    .replace(/^patronictl version .*$/, 'patronictl version')
}
