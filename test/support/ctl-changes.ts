// What changes a cluster for longer, by patronictl 3.0.2 and by ours, with the cluster's own word for the outcome.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runProgram } from './run-program.ts'

/** Declares the tests for both tools. */
export function testCtlChanges(
  cluster: Cluster,
  program: readonly string[],
  keeper: 'pgherd' | 'patroni',
): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  testTool(cluster, called, 'patronictl 3.0.2', ['patronictl'])
  testTool(cluster, called, 'ours', [...program, 'ctl'])
  testWaits(cluster, called, keeper, [...program, 'ctl'])
}

/** Only ours waits for these. */
function testWaits(
  cluster: Cluster,
  called: string,
  keeper: 'pgherd' | 'patroni',
  words: readonly string[],
): void {
  const run = (...more: readonly string[]) =>
    runProgram([...words, '-c', cluster.members[0]?.configFile ?? '', ...more])

  test(`on ${called}, ours: after edit-config --wait every member works by the new configuration`, async () => {
    await cluster.complete()
    for (const value of ['9MB', '10MB', 'null']) {
      const ran = await run('edit-config', '-p', `work_mem=${value}`, '-q', '--force', '--wait')
      assert.equal(ran.stdout, 'Configuration changed\nEvery member works by this configuration\n')
      const wanted = value === 'null' ? '4MB' : value
      for (const member of cluster.members) {
        // The server was told; its postmaster takes a moment to read its files.
        await waitFor(`work_mem ${wanted} on ${member.name}`, { withinMs: 5_000 }, async () => {
          const [row] = await member.query<{ work_mem: string }>('SHOW work_mem')
          return row?.work_mem === wanted
        })
      }
    }
  })

  test(`on ${called}, ours: reload --wait ends when the members have read their files`, async () => {
    const ran = await run('reload', cluster.scope, '--force', '--wait')
    for (const { name } of cluster.members)
      assert.match(ran.stdout, new RegExp(`^Reload is completed on: ${name}$`, 'm'))
    if (keeper === 'patroni') return
    const [member] = cluster.members
    assert.ok(member)
    await member.configure({ restapi: { listen: 'nonsense:port' } })
    const refused = await run('--strict', 'reload', cluster.scope, member.name, '--force', '--wait')
    await member.configure()
    assert.match(
      refused.stdout,
      /^Failed: reload on member pg1: .*patroni\.yml:\d+: restapi\.listen: expected host:port/m,
    )
    assert.equal(refused.code, 1)
  })
}

function testTool(cluster: Cluster, called: string, tool: string, words: readonly string[]): void {
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
    const allPending = (what: string) =>
      waitFor(`${what} beside both members`, { withinMs: 20_000 }, async note => {
        const now = await pending()
        note(JSON.stringify(now))
        return now.every(mark => mark === '*')
      })
    await allPending('a *')
    const restarted = await run('restart', cluster.scope, '--pending', '--force')
    assert.equal(restarted.stdout.match(/^Success: restart on member pg[12]$/gm)?.length, 2, restarted.stdout)
    await waitFor('no * any more', { withinMs: 20_000 }, async () => {
      return (await pending()).every(mark => mark === undefined)
    })
    for (const member of cluster.members)
      assert.deepEqual(await member.query('SHOW max_connections'), [{ max_connections: '300' }])
    await run('edit-config', '-p', 'max_connections=200', '--force', '-q')
    // A member that has not heard of it would be restarted with the old value.
    await allPending('a * again')
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
