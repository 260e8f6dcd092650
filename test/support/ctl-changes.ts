// What changes a cluster for longer, by patronictl 3.0.2 and by ours, with the cluster's own word for the outcome.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Cluster } from '../../src/demo/cluster.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { callRest } from './rest-actions.ts'
import { type Ran, runProgram } from './run-program.ts'

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

type Run = (...words: readonly string[]) => Promise<Ran>

/** The rows of the members, by column title. */
async function listed(run: Run): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return JSON.parse((await run('list', '-f', 'json')).stdout)
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

  test(`on ${called}, ours: switchover --wait and failover --wait end when every member is back behind the new leader`, async () => {
    for (const command of ['switchover', 'failover']) {
      await cluster.complete()
      const [next] = await cluster.replicas()
      assert.ok(next)
      const ran = await run('--strict', command, '--force', '--candidate', next.name, '--wait')
      assert.equal(ran.code, 0, ran.stdout + ran.stderr)
      // At once: that is what was waited for.
      const rows = await listed(run)
      const states = rows
        .map(({ State }) => State)
        .filter(state => !['running', 'streaming'].includes(String(state)))
      assert.deepEqual(states, [])
      assert.equal(new Set(rows.map(({ TL }) => TL)).size, 1, JSON.stringify(rows))
      assert.equal(rows.find(({ Role }) => Role === 'Leader')?.['Member'], next.name)
    }
  })

  test(`on ${called}, ours: restart --wait ends when the members are back and nothing is pending`, async () => {
    await cluster.complete()
    await run('edit-config', '-p', 'max_connections=310', '--force', '-q')
    const areMarked = () => listed(run).then(rows => rows.every(row => row['Pending restart'] === '*'))
    await waitFor('a * beside both members', { withinMs: 60_000 }, areMarked)
    const ran = await run('--strict', 'restart', cluster.scope, '--pending', '--force', '--wait')
    assert.equal(ran.code, 0, ran.stdout + ran.stderr)
    for (const row of await listed(run)) {
      assert.equal(row['Pending restart'], undefined, JSON.stringify(row))
      assert.ok(['running', 'streaming'].includes(String(row['State'])), JSON.stringify(row))
    }
    await run('edit-config', '-p', 'max_connections=200', '--force', '-q')
    await waitFor('a * beside both members again', { withinMs: 60_000 }, areMarked)
    await run('restart', cluster.scope, (await cluster.leader()).name, '--force', '--wait')
    await cluster.complete()
    await run('restart', cluster.scope, '-r', 'replica', '--force', '--wait')
    await cluster.complete()
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
    const pending = async () => (await listed(run)).map(row => row['Pending restart'])
    const allPending = (what: string) =>
      waitFor(`${what} beside both members`, { withinMs: 60_000 }, async note => {
        const now = await pending()
        note(JSON.stringify(now))
        return now.every(mark => mark === '*')
      })
    await allPending('a *')
    const restarted = await run('restart', cluster.scope, '--pending', '--force')
    assert.equal(restarted.stdout.match(/^Success: restart on member pg[12]$/gm)?.length, 2, restarted.stdout)
    await waitFor('no * any more', { withinMs: 60_000 }, async () => {
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

  test(`on ${called}, ${tool}: a scheduled restart is shown and flushed`, async () => {
    const [replica] = await cluster.replicas()
    assert.ok(replica)
    const scheduled = () =>
      listed(run).then(rows => rows.map(row => row['Scheduled restart']).filter(Boolean))
    const at = '2037-01-01T10:00:00+00:00'
    const ordered = await run('restart', cluster.scope, replica.name, '--scheduled', at, '--force')
    assert.match(ordered.stdout, new RegExp(`^Success: restart scheduled on member ${replica.name}$`, 'm'))
    await waitFor('the restart in the list', { withinMs: 60_000 }, async () => {
      return isDeepStrictEqual(await scheduled(), [at])
    })
    const flushed = await run('flush', cluster.scope, replica.name, 'restart', '--force')
    assert.match(
      flushed.stdout,
      new RegExp(`^Success: flush scheduled restart for member ${replica.name}$`, 'm'),
    )
    await waitFor(
      'no restart in the list',
      { withinMs: 60_000 },
      async () => (await scheduled()).length === 0,
    )
    assert.equal((await callRest(replica, 'DELETE /restart', undefined)).code, 404)
  })

  test(`on ${called}, ${tool}: remove deletes everything of one cluster after three right answers`, async () => {
    const { etcd } = cluster
    for (const [key, value] of [
      ['leader', 'old1'],
      ['config', '{"ttl":30}'],
      ['members/old1', '{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary"}'],
    ] as const)
      await etcd.ctl(['put', `/service/old/${key}`, value])
    await etcd.ctl(['put', '/service/older/leader', 'stays'])
    const input = 'old\nYes I am aware\nold1\n'
    const ran = await runProgram([...words, '-c', cluster.members[0]?.configFile ?? '', 'remove', 'old'], {
      input,
    })
    assert.equal(ran.code, 0, ran.stderr)
    assert.equal((await etcd.ctl(['get', '--prefix', '--keys-only', '/service/old/'])).trim(), '')
    assert.equal((await etcd.ctl(['get', '--print-value-only', '/service/older/leader'])).trim(), 'stays')
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
