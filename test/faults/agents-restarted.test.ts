// Agents killed and started again, one after the other, as an upgrade or an impatient operator does: nobody may notice.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

/** The lease that an operator gets: an agent has the rest of it to come back, however slow the machine is. */
const defaultTimings = { ttl: 30, loop_wait: 2, retry_timeout: 10 }

const { cluster } = await startCluster(
  { after },
  {
    etcd: 3,
    members: 3,
    proxies: 1,
    dcs: defaultTimings,
    parameters: { synchronous_standby_names: 'ANY 1 (*)' },
  },
)

/** The leader key's term, and the lease that it hangs on. */
async function leaderTerm(): Promise<{ readonly epoch: string; readonly lease: string }> {
  const answer = await cluster.etcd.ctl(['get', `/service/${cluster.scope}/leader`, '-w', 'json'])
  // Lease ids pass 2^53, so they are read as text.
  const field = (name: string) => new RegExp(`"${name}":(\\d+)`).exec(answer)?.[1] ?? 'absent'
  return { epoch: field('create_revision'), lease: field('lease') }
}

test('every agent killed and started in turn: no failover, no failed write, no session cut', async t => {
  const leader = await cluster.leader()
  const before = await leaderTerm()
  const witness = await Witness.start(cluster)
  const beganMs = performance.now()
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  const sessionsBefore = await serverSessions()
  let longestAwayMs = 0
  for (const member of cluster.members) {
    const killedMs = performance.now()
    await member.agent.kill()
    await member.agent.start()
    await waitFor(`${member.name} to answer again`, { withinMs: 60_000 }, async () => {
      const status = await member.status()
      return status.state === 'running'
    })
    await waitFor(`${leader.name} to hold a lease of its own`, { withinMs: 30_000 }, async () => {
      return (await leader.rest('/primary')).code === 200
    })
    longestAwayMs = Math.max(longestAwayMs, performance.now() - killedMs)
  }
  const after = await leaderTerm()
  assert.equal(after.epoch, before.epoch, 'the term is the same')
  assert.notEqual(after.lease, before.lease, 'the key hangs on the lease of the new process')
  assert.deepEqual(await serverSessions(), sessionsBefore, 'the writer kept its sessions')
  const report = await witness.finish(beganMs)
  t.diagnostic(
    `longest gap ${Math.round(report.outage.ms)} ms, ${report.verdict.acknowledged} rows; an agent was back after ` +
      `${seconds(longestAwayMs)} at most, of its lease's ${defaultTimings.ttl} s`,
  )
  assertSafe(report)
  assert.deepEqual(report.tally.failures, [])
  const log = await readFile(proxy.server.logFile, 'utf8')
  assert.doesNotMatch(log, /failover to timeline/)
})

/** The server processes of the writer's sessions. */
async function serverSessions(): Promise<readonly number[]> {
  const leader = await cluster.leader()
  const rows = await queryOnce<{ pid: number }>(
    leader.direct,
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE 'INSERT INTO writes%' ORDER BY pid",
  )
  return rows.map(row => row.pid)
}
