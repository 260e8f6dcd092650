// Debian's patronictl 3.0.2 and ours, side by side, on a cluster of our agents and on one of the real Patroni.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { testCtlTable } from '../support/ctl-table.ts'
import { startCluster } from '../support/fixture.ts'
import { callRest } from '../support/rest-actions.ts'
import { runProgram } from '../support/run-program.ts'

const ours = await startCluster({ after }, { etcd: 1, members: ['pgherd', 'pgherd'], proxies: 0 })
const theirs = await startCluster(
  { after },
  { etcd: 1, members: ['patroni', 'patroni'], proxies: 0, dcs: { retry_timeout: 2 } },
)
const { program } = ours.work

testCtlTable(ours.cluster, program, 'pgherd')
testCtlTable(theirs.cluster, program, 'patroni')

for (const [called, { cluster }] of [
  ['pgherd', ours],
  ['Patroni 3.0.2', theirs],
] as const) {
  for (const [tool, words] of [
    ['patronictl 3.0.2', ['patronictl']],
    ['ours', [...program, 'ctl']],
  ] as const) {
    const run = (...more: readonly string[]) =>
      runProgram([...words, '-c', cluster.members[0]?.configFile ?? '', ...more])

    test(`on ${called}, ${tool}: edit-config -p max_connections=300 marks members with *, restart takes it away`, async () => {
      await cluster.complete()
      const changed = await run('edit-config', '-p', 'max_connections=300', '--force')
      assert.match(changed.stdout, /^\+ {4}max_connections: 300$/m)
      const pending = async () => {
        const { stdout } = await run('list', '-f', 'json')
        const rows = JSON.parse(stdout) as readonly Readonly<Record<string, string>>[]
        return rows.map(row => row['Pending restart'])
      }
      await waitFor('a * beside both members', { withinMs: 20_000 }, async note => {
        const now = await pending()
        note(JSON.stringify(now))
        return now.every(mark => mark === '*')
      })
      const restarted = await run('restart', cluster.scope, '--pending', '--force')
      assert.equal(
        restarted.stdout.match(/^Success: restart on member pg[12]$/gm)?.length,
        2,
        restarted.stdout,
      )
      await waitFor('no * any more', { withinMs: 20_000 }, async () => {
        return (await pending()).every(mark => mark === undefined)
      })
      for (const member of cluster.members)
        assert.deepEqual(await member.query('SHOW max_connections'), [{ max_connections: '300' }])
      await run('edit-config', '-p', 'max_connections=200', '--force', '-q')
      await run('restart', cluster.scope, (await cluster.leader()).name, '--force')
      await cluster.complete()
      await run('restart', cluster.scope, '-r', 'replica', '--force')
      await cluster.complete()
    })

    test(`on ${called}, ${tool}: a scheduled switchover is shown and flushed`, async () => {
      const leader = await cluster.leader()
      const at = '2037-01-01T10:00:00+00:00'
      const scheduled = await run('switchover', '--force', '--scheduled', at)
      assert.match(scheduled.stdout, /Switchover scheduled\n/)
      assert.match(
        (await run('list')).stdout,
        /^ Switchover scheduled at: 2037-01-01T10:00:00\+00:00\n +from: pg\d$/m,
      )
      const flushed = await run('flush', cluster.scope, 'switchover')
      assert.match(flushed.stdout, /^Success: scheduled switchover deleted\n$/)
      assert.equal((await cluster.leader()).name, leader.name)
    })

    test(`on ${called}, ${tool}: pause and resume are seen by every member`, async () => {
      assert.match((await run('pause')).stdout, /^Success: cluster management is paused\n$/)
      assert.match((await run('list')).stdout, /^ Maintenance mode: on$/m)
      const again = await run('pause')
      assert.deepEqual([again.code, again.stderr], [1, 'Error: Cluster is already paused\n'])
      assert.match((await run('resume', '--wait')).stdout, /Success: cluster management is resumed\n$/)
      assert.doesNotMatch((await run('list')).stdout, /Maintenance/)
    })
  }
}

for (const [tool, words] of [
  ['patronictl 3.0.2', ['patronictl']],
  ['ours', [...program, 'ctl']],
] as const) {
  test(`${tool} removes a cluster when all three answers are right`, async () => {
    const { etcd, members } = ours.cluster
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
  const leader = await ours.cluster.leader()
  const run = (...words: readonly string[]) =>
    runProgram([...program, 'ctl', '-c', leader.configFile, ...words])
  const restart = ['restart', ours.cluster.scope, leader.name, '--pending', '--force']
  assert.equal((await run(...restart)).code, 0)
  assert.equal((await run('--strict', ...restart)).code, 1)
  assert.equal((await run('--strict', 'switchover', '--force', '--candidate', 'pg9')).code, 1)
  assert.equal((await run('--strict', 'list')).code, 0)
})

test('a parameter that PostgreSQL would not take is left out and told, and the server restarts', async () => {
  const { cluster } = ours
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
