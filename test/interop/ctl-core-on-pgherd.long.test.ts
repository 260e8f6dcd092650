// Debian's patronictl 3.0.2 and ours, side by side, on a cluster of our agents.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROLES } from '../../src/demo/member-config.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { testCtlChanges } from '../support/ctl-changes.ts'
import { testCtlLeaders } from '../support/ctl-leaders.ts'
import { testCtlTable } from '../support/ctl-table.ts'
import { startCluster } from '../support/fixture.ts'
import { callRest } from '../support/rest-actions.ts'
import { runProgram } from '../support/run-program.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 1, members: ['pgherd', 'pgherd'], proxies: 0 },
)
const { program } = work

testCtlTable(cluster, program, 'pgherd', 'core')
testCtlChanges(cluster, program, 'pgherd')
testCtlLeaders(cluster, program, 'pgherd')

test('ours with --strict ends with 1 when the cluster refuses, and with 0 without', async () => {
  const leader = await cluster.leader()
  const run = (...words: readonly string[]) =>
    runProgram([...program, 'ctl', '-c', leader.configFile, ...words])
  const restart = ['restart', cluster.scope, leader.name, '--pending', '--force']
  assert.equal((await run(...restart)).code, 0)
  assert.equal((await run('--strict', ...restart)).code, 1)
  assert.equal((await run('--strict', 'switchover', '--force', '--candidate', 'pg9')).code, 1)
  assert.equal((await run('--strict', 'list')).code, 0)
})

test('top on a terminal draws on a second screen, frame over frame, and gives the first one back', async () => {
  const leader = await cluster.leader()
  const words = [...program, 'ctl', '-c', leader.configFile, 'top', '-w', '1', '--frames', '2']
  // `script` runs it on a terminal of its own.
  const ran = await runProgram(['script', '-qec', words.join(' '), '/dev/null'])
  assert.equal(ran.code, 0, ran.stdout + ran.stderr)
  const csi = `${String.fromCharCode(27)}[`
  const [before = '', ...frames] = ran.stdout.split(`${csi}H`)
  assert.equal(before, `${csi}?1049h${csi}?25l`)
  assert.equal(frames.length, 2)
  for (const frame of frames) assert.ok(frame.includes(`pgsql: ${leader.name} leads`), JSON.stringify(frame))
  assert.ok(ran.stdout.endsWith(`${csi}?25h${csi}?1049l`), JSON.stringify(ran.stdout.slice(-40)))
})

test('query -w and -W ask again and again until Ctrl-C, as patronictl’s does', async t => {
  const leader = await cluster.leader()
  const env = {
    PGUSER: ROLES.superuser.username,
    PGPASSWORD: ROLES.superuser.password,
    PGDATABASE: 'postgres',
  }
  for (const again of [['-w', '1'], ['-W']]) {
    const ask = ['query', cluster.scope, '-c', "SELECT 'once'", '--format', 'tsv', ...again]
    const tools = [['patronictl'], [...program, 'ctl']]
    const ran = await Promise.all(
      tools.map(tool =>
        runProgram(
          ['timeout', '--preserve-status', '-s', 'INT', '7', ...tool, '-c', leader.configFile, ...ask],
          { env },
        ),
      ),
    )
    for (const [index, { code, stdout, stderr }] of ran.entries()) {
      const rows = stdout.split('\n').filter(line => line === 'once')
      t.diagnostic(`${tools[index]?.at(-1)} ${again.join(' ')}: ${rows.length} times, exit code ${code}`)
      assert.ok(rows.length >= 2, `${index}: ${stdout} ${stderr}`)
    }
    // To end a watch is no failure: ours says nothing and ends with 0, theirs says "Aborted!" and ends with 1.
    assert.deepEqual(
      ran.map(({ code }) => code),
      [1, 0],
    )
    assert.equal(ran[1]?.stderr, '')
  }
})

test('events --follow goes on with what happens, and tells nothing twice', async () => {
  const leader = await cluster.leader()
  const words = [...program, 'ctl', '-c', leader.configFile, 'events', '-n', '3', '--follow']
  const following = runProgram(['timeout', '-s', 'INT', '15', 'script', '-qec', words.join(' '), '/dev/null'])
  await sleep(3_000)
  const restarted = await callRest(leader, 'POST /restart', {})
  assert.equal(restarted.code, 200, restarted.body)
  const { stdout } = await following
  const lines = stdout.split(/\r?\n/).filter(line => line !== '')
  const [table, more] = [
    lines.filter(line => /^[|+]/.test(line)),
    lines.filter(line => /^\d{4}-\d\d-\d\d /.test(line)),
  ]
  assert.equal(table.length, 3 + 4, stdout)
  assert.ok(
    more.some(line => line.includes(leader.name) && /restart/.test(line)),
    stdout,
  )
  assert.equal(new Set(more).size, more.length, stdout)
})

test('a parameter that PostgreSQL would not take is left out and told, and the server restarts', async () => {
  const leader = await cluster.leader()
  const parameters = { no_such_parameter: 1, shared_buffers: 'plenty', work_mem: '7MB' }
  const patched = await callRest(leader, 'PATCH /config', { postgresql: { parameters } })
  assert.equal(patched.code, 200)
  await waitFor('the good one to be in force', { withinMs: 15_000 }, async () => {
    const [row] = await leader.query<{ work_mem: string }>('SHOW work_mem')
    return row?.work_mem === '7MB'
  })
  const restarted = await callRest(leader, 'POST /restart', {})
  assert.deepEqual([restarted.code, restarted.body], [200, 'restarted successfully'])
  const undo = { no_such_parameter: null, shared_buffers: '32MB', work_mem: null }
  await callRest(leader, 'PATCH /config', { postgresql: { parameters: undo } })
})
