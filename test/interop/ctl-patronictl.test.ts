// Debian's patronictl 3.0.2 and our ctl on the same keys and the same REST server: what one prints, the other prints too.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { JsonObject } from '../../src/cluster/json.ts'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { leaderStatus, threeMembers } from '../support/agent-status.ts'
import { FakeAgent } from '../support/fake-agent.ts'
import { startEtcd } from '../support/fixture.ts'
import { serveRest } from '../support/rest-server.ts'
import { type Ran, type RunOptions, runProgram } from '../support/run-program.ts'

const { etcd, work } = await startEtcd({ after }, 1)
const dcs = createEtcdDcs({
  endpoints: etcd.endpoints,
  namespace: '/service',
  scope: 'main',
  clock: realClock,
  logger: silentLogger,
})
work.defer(() => dcs.close())
const agent = new FakeAgent(realClock, leaderStatus(), dcs)
const account = { username: 'op', password: 'secret' }
const rest = await serveRest(agent, run => work.defer(run), { authentication: account })
const apiUrl = `http://127.0.0.1:${rest.port}/patroni`

const configFile = path.join(work.data, 'ctl.yml')
const etcdHost = etcd.endpoints[0]?.replace(/^http:\/\//, '') ?? ''
await writeFile(
  configFile,
  `scope: main\netcd3: {host: '${etcdHost}'}\nrestapi: {authentication: {username: op, password: secret}}\n`,
)

/** Three members with tags, an address shared, synchronous mode, history; all answer through one REST server. */
const keys: Readonly<Record<string, string>> = {
  ...threeMembers,
  status: '{"optime":83886080}',
  config:
    '{"ttl":30,"loop_wait":10,"retry_timeout":10,"synchronous_mode":true,"postgresql":{"parameters":{"a":"on","b":"1","max_connections":100},"pg_hba":["host all all md5"]},"maximum_lag_on_failover":1048576}',
  sync: '{"leader":"pg1","sync_standby":"pg2"}',
  history:
    '[[1,50331800,"no recovery target specified","2026-11-24T05:00:00+00:00","pg2"],[2,60331800,"no recovery target specified"]]',
  'members/pg1': member('10.0.0.1:5432', {
    role: 'master',
    state: 'running',
    xlog_location: 83886080,
    timeline: 3,
  }),
  'members/pg2': member('10.0.0.2:5432', {
    role: 'replica',
    state: 'running',
    xlog_location: 50331648,
    timeline: 3,
    tags: { clonefrom: true, nosync: false, zone: 'no', rank: '7' },
  }),
  'members/pg3': member('10.0.0.2:5433', {
    role: 'replica',
    state: 'running',
    xlog_location: 83886000,
    pending_restart: true,
    tags: { replicatefrom: 'pg2' },
  }),
}

function member(address: string, fields: JsonObject): string {
  const urls = { conn_url: `postgres://${address}/postgres`, api_url: apiUrl }
  return JSON.stringify({ ...urls, version: '3.0.2', ...fields })
}

const theirs = (words: readonly string[], options?: RunOptions): Promise<Ran> =>
  runProgram(['patronictl', '-c', configFile, ...words], options)
const ours = (words: readonly string[], options?: RunOptions): Promise<Ran> =>
  runProgram([...work.program, 'ctl', '-c', configFile, ...words], options)

await agent.put(keys)

for (const words of [
  ['history'],
  ['history', '-f', 'json'],
  ['history', '-f', 'tsv'],
  ['history', '-f', 'yaml'],
  ['history', 'unknown'],
  ['history', 'unknown', '-f', 'yaml'],
  ['show-config'],
]) {
  test(`patronictl 3.0.2 and ours print the same for ${words.join(' ')}`, async () => {
    const [expected, actual] = await Promise.all([theirs(words), ours(words)])
    assert.equal(actual.stdout, expected.stdout)
    assert.deepEqual([actual.code, expected.code], [0, 0])
    assert.equal(actual.stderr, '')
  })
}

/** Columns that both versions have; since 4.1 positions have columns of their own in place of one lag. */
const shared = ['Cluster', 'Member', 'Host', 'Role', 'State', 'TL', 'Pending restart', 'Tags']

test('list -f json is the same in all columns that 3.0.2 has, but for the lag', async () => {
  const [expected, actual] = await Promise.all([theirs(['list', '-f', 'json']), ours(['list', '-f', 'json'])])
  assert.deepEqual(rowsOf(actual.stdout), rowsOf(expected.stdout))
  assert.equal(rowsOf(actual.stdout).length, 3)
})

function rowsOf(text: string): readonly JsonObject[] {
  const rows = JSON.parse(text) as readonly JsonObject[]
  return rows.map(row => Object.fromEntries(Object.entries(row).filter(([key]) => shared.includes(key))))
}

for (const command of ['list', 'topology']) {
  test(`the ${command} table is the same in all columns that 3.0.2 has, but for the lag`, async () => {
    const [expected, actual] = await Promise.all([theirs([command]), ours([command])])
    assert.deepEqual(cellsOf(actual.stdout), cellsOf(expected.stdout))
    assert.ok(cellsOf(actual.stdout).length > 3)
  })
}

/** The cells of the shared columns, line by line. */
function cellsOf(table: string): readonly (readonly string[])[] {
  const lines = table.split('\n').filter(line => line.startsWith('|'))
  const cells = lines.map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.slice(1).trimEnd()),
  )
  const kept = (cells[0] ?? []).map(title => shared.includes(title.trim()))
  return cells.map(row => row.filter((_cell, index) => kept[index]))
}

test('a list of an unknown cluster is an empty table with the same frame', async () => {
  const [expected, actual] = await Promise.all([theirs(['list', 'unknown']), ours(['list', 'unknown'])])
  const frame = (text: string) => text.split('\n').map(line => line.slice(0, 1))
  assert.deepEqual(frame(actual.stdout), frame(expected.stdout))
})

const refusals: readonly (readonly string[])[] = [
  ['switchover', 'unknown', '--force'],
  ['switchover', '--force', '--candidate', 'pg1'],
  ['switchover', '--force', '--scheduled', 'tomorrow'],
  ['failover', '--force'],
]
for (const words of refusals) {
  test(`${words.join(' ')} is refused with the same line and code`, async () => {
    const [expected, actual] = await Promise.all([theirs(words), ours(words)])
    assert.equal(actual.stderr, expected.stderr)
    assert.match(actual.stderr, /^Error: .+\n$/)
    assert.deepEqual([actual.code, expected.code], [1, 1])
  })
}

test('the end of the input in a question is Aborted! with code 1 for both', async () => {
  const [expected, actual] = await Promise.all([theirs(['switchover']), ours(['switchover'])])
  assert.match(expected.stderr, /Aborted!\n$/)
  assert.match(actual.stderr, /Aborted!\n$/)
  assert.deepEqual([actual.code, expected.code], [1, 1])
})

/** Plays the agents: who was asked for leads at once. */
agent.onWake = async () => {
  const view = await dcs.read(Deadline.in(realClock, 5_000))
  await agent.put({ leader: view.request?.value.candidate ?? 'pg3', failover: '{}' })
}

test('patronictl switches over through our REST server, with its password', async t => {
  t.after(() => agent.put({ leader: 'pg1' }))
  const ran = await theirs(['switchover', '--force', '--candidate', 'pg2'])
  assert.match(ran.stdout, /\d\d:\d\d\.\d{5} Successfully switched over to "pg2"\n/)
  assert.equal(ran.code, 0, ran.stderr)
})

test('patronictl answers every question and switches over through our REST server', async t => {
  t.after(() => agent.put({ leader: 'pg1' }))
  const input = '\npg2\n\ny\n'
  const expected = await theirs(['switchover'], { input })
  await agent.put({ leader: 'pg1' })
  const actual = await ours(['switchover'], { input })
  const dialogue = (text: string) => /Primary[\s\S]*?demoting current leader pg1\? \[y\/N\]: /.exec(text)?.[0]
  assert.match(dialogue(expected.stdout) ?? '', /Candidate \['pg2', 'pg3'\] \[\]: /)
  const untimed = (text: string | undefined) => text?.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d/, 'TIME')
  assert.equal(untimed(dialogue(actual.stdout)), untimed(dialogue(expected.stdout)))
  assert.match(actual.stdout, /Successfully switched over to "pg2"\n/)
})

test('patronictl 3.0.2 names the leader in a failover, which makes it a switchover here', async t => {
  t.after(() => agent.put({ leader: 'pg1' }))
  const ran = await theirs(['failover', '--force', '--candidate', 'pg2'])
  assert.match(ran.stdout, /Successfully switched over to "pg2"\n/)
})

test('a refusal of the server reads the same in both, and is no error of the command', async () => {
  const [expected, actual] = await Promise.all(
    [theirs, ours].map(run => run(['switchover', '--force', '--candidate', 'pg3'])),
  )
  const last = (text = '') => text.trimEnd().split('\n').at(-1)
  assert.equal(last(actual?.stdout), last(expected?.stdout))
  assert.match(last(actual?.stdout) ?? '', /^Switchover failed, details: 412, .*sync_standby/)
  assert.deepEqual([actual?.code, expected?.code], [0, 0])
})

test('ours needs no file: the URL, DCS_URL or the environment are enough', async () => {
  const url = `etcd3://${etcdHost}/service`
  const runs = await Promise.all([
    runProgram([...work.program, 'ctl', '-d', url, 'list', 'main', '-f', 'tsv']),
    runProgram([...work.program, 'ctl', 'list', 'main', '-f', 'tsv'], { env: { DCS_URL: url } }),
    runProgram([...work.program, 'ctl', 'list', '-f', 'tsv'], {
      env: { PATRONI_ETCD3_HOSTS: etcdHost, PATRONI_SCOPE: 'main' },
    }),
    runProgram([...work.program, 'ctl', 'list', '-f', 'tsv'], {
      env: { PATRONICTL_CONFIG_FILE: configFile },
    }),
    ours(['list', '-f', 'tsv']),
  ])
  for (const ran of runs) assert.equal(ran.stdout, runs[0]?.stdout, ran.stderr)
  assert.match(runs[0]?.stdout ?? '', /^Cluster\tMember\t[\s\S]*\nmain\tpg1\t/)
})
