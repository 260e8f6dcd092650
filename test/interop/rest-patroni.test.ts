// The table of REST answers against Debian's Patroni 3.0.2: rows that it does not have yet are marked in the table.
// And our ctl and our questions to peers, against the same real members.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { PeerClient } from '../../src/health/peer.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { startCluster } from '../support/fixture.ts'
import { testRestActions } from '../support/rest-actions.ts'
import { tableTags, testRestTable } from '../support/rest-table.ts'
import { runProgram } from '../support/run-program.ts'

const { cluster, work } = await startCluster(
  { after },
  {
    etcd: 1,
    members: ['patroni', 'patroni'],
    proxies: 0,
    dcs: { retry_timeout: 2 },
    overrides: { tags: tableTags },
  },
)

testRestTable(cluster, 'patroni')
testRestActions(cluster, 'patroni')

test('our question to a peer understands Patroni 3.0.2', async t => {
  const peers = new PeerClient()
  t.after(() => peers.close())
  const urls = new Map(cluster.members.map(member => [member.name, `http://${member.restAddress}/patroni`]))
  const answers = await peers.askAll(urls, Deadline.in(realClock, 10_000))
  const leader = await cluster.leader()
  for (const answer of answers) {
    assert.equal(answer.isReachable, true)
    assert.equal(answer.isPrimary, answer.name === leader.name)
    assert.equal(answer.role, answer.name === leader.name ? 'primary' : 'replica')
    assert.ok(answer.walPosition !== undefined && answer.walPosition > 0n)
    assert.equal(answer.timeline, (await leader.status()).timeline)
    assert.deepEqual([answer.mayLead, answer.failoverPriority, answer.leaseLeftMs], [true, 1, undefined])
  }
})

test('our ctl lists a Patroni 3.0.2 cluster and switches it over', async () => {
  const before = await cluster.leader()
  const ctl = [...work.program, 'ctl', '-c', before.configFile]
  const listed = await runProgram([...ctl, 'list', '-f', 'json'])
  const rows = JSON.parse(listed.stdout) as readonly { readonly Member: string; readonly Role: string }[]
  assert.deepEqual(
    rows.map(row => [row.Member, row.Role]),
    cluster.members.map(member => [member.name, member === before ? 'Leader' : 'Replica']),
  )
  const ran = await runProgram([...ctl, 'switchover', '--force'])
  const after = await cluster.leader({ not: [before] })
  assert.match(ran.stdout, new RegExp(`Successfully switched over to "${after.name}"\\n`), ran.stderr)
  assert.equal(ran.code, 0)
})
