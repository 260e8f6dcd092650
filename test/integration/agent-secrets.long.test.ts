// What people copy into a ticket shows no password: the check of a file, the cluster's configuration, the agent's log at its
// most talkative, what REST and the events say, and the files that PostgreSQL is configured by.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { ROLES } from '../../src/demo/member-config.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { runProgram } from '../support/run-program.ts'

const REST = { username: 'admin', password: 'rest-of-it' }
const { cluster, work } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 2,
    proxies: 0,
    overrides: {
      log: { level: 'DEBUG' },
      restapi: { authentication: REST },
      // What they did is told at DEBUG alone.
      postgresql: { callbacks: { on_start: '/bin/true', on_reload: '/bin/true' } },
    },
  },
)
const secrets = [...Object.values(ROLES), REST].map(({ password }) => password)
const leader = await cluster.leader()
const [standby] = await cluster.replicas()
assert.ok(standby)

function assertNone(where: string, text: string): void {
  assert.ok(text.length > 100, `${where} says nothing: ${text}`)
  for (const secret of secrets) assert.ok(!text.includes(secret), `${where} shows ${secret}`)
}

test('the check of a file shows no password, not even for one that it refuses', async () => {
  const checked = await runProgram([...work.program, 'check', leader.configFile])
  assertNone('check', `${checked.stdout}${checked.stderr}`.padEnd(101))
  const text = await readFile(leader.configFile, 'utf8')
  const broken = path.join(work.data, 'broken.yml')
  for (const [what, from, to] of [
    ['a password that is a list', ROLES.replication.password, `[${ROLES.replication.password}]`],
    [
      'an account without a name',
      'authentication:',
      `authentication:\n    password: ${ROLES.rewind.password}\n    x:`,
    ],
  ] as const) {
    await writeFile(broken, text.replace(from, to))
    const refused = await runProgram([...work.program, 'check', broken])
    assertNone(what, `${refused.stdout}${refused.stderr}`.padEnd(101))
  }
})

test('the configuration of the cluster and what a member says of itself show none', async () => {
  const shown = await runProgram([...work.program, 'ctl', '-c', leader.configFile, 'show-config'])
  assert.equal(shown.code, 0, shown.stderr)
  assertNone('show-config', shown.stdout)
  for (const place of ['/config', '/patroni', '/cluster', '/metrics', '/pgherd/events?count=100'])
    assertNone(place, (await leader.rest(place)).body)
})

test('nor does the log at DEBUG, through a reload, a changed configuration and a restart', async () => {
  await changeConfig(cluster, { postgresql: { parameters: { work_mem: '7MB' } } })
  await waitFor('the new value', { withinMs: 30_000 }, async () => {
    const [row] = await standby.query<{ value: string }>("SELECT current_setting('work_mem') AS value")
    return row?.value === '7MB'
  })
  process.kill(leader.agent.pid, 'SIGHUP')
  await standby.agent.stop(20_000)
  await standby.agent.start()
  await cluster.complete()
  for (const member of [leader, standby]) {
    const log = await readFile(member.agent.logFile, 'utf8')
    assert.match(log, / DEBUG: /)
    assertNone(`the log of ${member.name}`, log)
    for (const name of ['postgresql.conf', 'postgresql.base.conf', 'pg_hba.conf'])
      assertNone(name, await readFile(path.join(member.dataDir, name), 'utf8'))
    assertNone('the events', await readFile(`${member.dataDir}.events.jsonl`, 'utf8'))
  }
})
