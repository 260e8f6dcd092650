// The table of REST answers against our own agents on real servers: the same rows as against the real Patroni.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { testRestActions } from '../support/rest-actions.ts'
import { tableTags, testRestTable } from '../support/rest-table.ts'
import { runProgram } from '../support/run-program.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 1, members: ['pgherd', 'pgherd'], proxies: 0, overrides: { tags: tableTags } },
)

testRestTable(cluster, 'pgherd')
testRestActions(cluster, 'pgherd')

test('the leader says how long its lease lasts, a replica says none', async () => {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  const left = (status: Readonly<Record<string, unknown>>) =>
    (status['pgherd'] as { readonly lease_left_ms: number }).lease_left_ms
  const ofLeader = left(await leader.status())
  assert.ok(ofLeader > 1_000 && ofLeader <= 5_000, `${ofLeader} ms`)
  assert.equal(left(await replica.status()), 0)
})

test('the document of a check says how old the look at the server is, that of /patroni has a new one', async () => {
  for (const member of cluster.members) {
    const age = async (target: string) =>
      (JSON.parse((await member.rest(target)).body)['pgherd'] as { readonly age_ms: number }).age_ms
    const ofChecks: number[] = []
    // Half a turn apart: the look gets older until the loop takes the next one.
    await waitFor('a look that gets older', { withinMs: 20_000, everyMs: 400 }, async note => {
      ofChecks.push(await age('/health'))
      note(ofChecks.join(', '))
      return ofChecks.some((ms, index) => index > 0 && ms > (ofChecks[index - 1] ?? 0))
    })
    assert.ok(
      ofChecks.every(ms => ms >= 0 && ms < 60_000),
      ofChecks.join(', '),
    )
    const fresh = await age('/patroni')
    assert.ok(fresh >= 0 && fresh < 5_000, `${fresh} ms`)
  }
})

test('our ctl switches our cluster over, and Debian patronictl 3.0.2 switches it back', async () => {
  const first = await cluster.leader()
  const ours = await runProgram([...work.program, 'ctl', '-c', first.configFile, 'switchover', '--force'])
  const second = await cluster.leader({ not: [first] })
  assert.match(ours.stdout, new RegExp(`Successfully switched over to "${second.name}"\\n`), ours.stderr)
  await cluster.complete()
  const words = ['patronictl', '-c', first.configFile, 'switchover', '--force', '--candidate', first.name]
  const theirs = await runProgram(words)
  assert.match(theirs.stdout, new RegExp(`Successfully switched over to "${first.name}"\\n`), theirs.stderr)
  assert.equal((await cluster.leader({ not: [second] })).name, first.name)
  await cluster.complete()
})

test('the topology of our running cluster is drawn by both programs alike', async () => {
  const { configFile, name } = await cluster.leader()
  const tools = [[...work.program, 'ctl'], ['patronictl']]
  const [ours, theirs] = await Promise.all(
    tools.map(async tool => {
      const { stdout, stderr } = await runProgram([...tool, '-c', configFile, 'topology'])
      const rows = stdout.split('\n').filter(line => line.startsWith('|'))
      assert.equal(rows.length, 3, stdout + stderr)
      // Where a member stands in the tree, its address and its role; what follows differs by versions and moments.
      return rows.slice(1).map(row =>
        row
          .split('|')
          .slice(1, 4)
          .map(cell => cell.trim()),
      )
    }),
  )
  assert.deepEqual(ours, theirs)
  assert.deepEqual(ours?.map(([member, , role]) => [member, role])[0], [name, 'Leader'])
  assert.match(ours?.[1]?.[0] ?? '', /^\+ pg\d$/)
})

test('a switchover that nobody can take is refused and changes nothing', async () => {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  await replica.agent.freeze()
  try {
    const words = ['ctl', '-c', leader.configFile, 'switchover', '--force']
    const ran = await runProgram([...work.program, ...words])
    // On a slow machine the frozen member's key is gone before it can be asked.
    assert.match(
      ran.stdout + ran.stderr,
      /Switchover failed, details: 412, switchover is not possible: no good candidates have been found\n|Error: No candidates found to switchover to\n/,
    )
  } finally {
    replica.agent.thaw()
  }
  assert.equal((await cluster.leader()).name, leader.name)
})
