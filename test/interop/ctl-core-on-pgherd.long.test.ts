// Debian's patronictl 3.0.2 and ours, side by side, on a cluster of our agents.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { testCtlChanges } from '../support/ctl-changes.ts'
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

for (const [tool, words] of [
  ['patronictl 3.0.2', ['patronictl']],
  ['ours', [...program, 'ctl']],
] as const) {
  test(`${tool} removes a cluster when all three answers are right`, async () => {
    const { etcd, members } = cluster
    const [member] = members
    for (const [key, value] of [
      ['leader', 'old1'],
      ['config', '{"ttl":30}'],
      ['members/old1', '{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary"}'],
    ] as const)
      await etcd.ctl(['put', `/service/old/${key}`, value])
    await etcd.ctl(['put', '/service/older/leader', 'stays'])
    const input = 'old\nYes I am aware\nold1\n'
    const ran = await runProgram([...words, '-c', member?.configFile ?? '', 'remove', 'old'], { input })
    assert.equal(ran.code, 0, ran.stderr)
    assert.equal((await etcd.ctl(['get', '--prefix', '--keys-only', '/service/old/'])).trim(), '')
    assert.equal((await etcd.ctl(['get', '--print-value-only', '/service/older/leader'])).trim(), 'stays')
  })
}

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
