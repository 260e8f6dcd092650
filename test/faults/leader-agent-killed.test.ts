// The leader's agent dies and nobody starts it again. Its server runs on without a keeper: the lease ends, another member
// leads, and no client of a proxy is left on the old server. Then the server dies together with its agent, then alone.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { startBusyStatements } from './busy.ts'
import { assertNothingWithoutLeader, assertSafe, seconds, tellOutage, Witness } from './witness.ts'

const LEASE_MS = 5_000

const { cluster } = await startCluster(
  { after },
  { etcd: 1, proxies: 2, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('agent killed, its server running on: another member leads when the lease has ended, the old one comes back as a replica', async t => {
  const witness = await Witness.start(cluster)
  const old = await cluster.leader()
  const killedMs = performance.now()
  await old.agent.kill()
  const leader = await cluster.leader({ not: [old] })
  const againMs = await witness.writesAgain(performance.now())
  await sleep(2_000)
  const report = await witness.finish(killedMs)
  assertSafe(report)
  assertNothingWithoutLeader(report, killedMs, LEASE_MS)
  tellOutage(t, report, LEASE_MS + 2_000)
  t.diagnostic(`${leader.name} leads; rows flow again ${seconds(againMs - killedMs)} after the kill`)
  await old.agent.start()
  await cluster.complete()
  assert.equal((await old.status()).role, 'replica')
})

test('agent and postmaster killed with a backend busy in a statement of 10 s: nothing lost, nothing acknowledged late', async t => {
  const witness = await Witness.start(cluster)
  const old = await cluster.leader()
  const busy = await startBusyStatements(cluster, old)
  const killedMs = performance.now()
  await Promise.all([old.agent.kill(), old.killPostmaster()])
  const leader = await cluster.leader({ not: [old] })
  const leadsMs = performance.now()
  await witness.writesAgain(leadsMs)
  const late = (await busy.acknowledgedMs()).filter(atMs => atMs > leadsMs)
  assert.deepEqual(late, [], 'a busy backend acknowledged its commit after the new epoch had begun')
  await sleep(2_000)
  const report = await witness.finish(killedMs)
  assertSafe(report)
  assertNothingWithoutLeader(report, killedMs, LEASE_MS)
  tellOutage(t, report, LEASE_MS + 2_000)
  t.diagnostic(`${leader.name} leads ${seconds(leadsMs - killedMs)} after the kill`)
  await old.agent.start()
  await cluster.complete()
  assert.equal((await old.status()).role, 'replica')
})

// A backend outlives its postmaster and could acknowledge a commit seconds later: the agent ends the whole family before
// the server runs again.
test('postmaster killed with a backend busy in a statement of 10 s: nothing lost, and the busy backend acknowledges nothing', async t => {
  const witness = await Witness.start(cluster)
  const leader = await cluster.leader()
  const busy = await startBusyStatements(cluster, leader)
  const family = await leader.serverProcesses()
  const postmaster = await leader.postmasterPid()
  const killedMs = performance.now()
  await leader.killPostmaster()
  await waitFor('a server that takes writes', { withinMs: 60_000, everyMs: 20 }, async note => {
    const now = await cluster.leader()
    const pid = await now.postmasterPid()
    note(`${now.name} leads, postmaster ${pid}`)
    return pid !== postmaster
  })
  const backMs = performance.now()
  const left = (await leader.serverProcesses()).filter(pid => family.includes(pid))
  assert.deepEqual(left, [], 'processes of the old server live beside the new one')
  await witness.writesAgain(backMs)
  assert.deepEqual(await busy.acknowledgedMs(), [], 'a busy backend acknowledged its commit')
  await sleep(1_000)
  const report = await witness.finish(killedMs)
  assertSafe(report)
  tellOutage(t, report, 2_000)
  t.diagnostic(`${(await cluster.leader()).name} leads again ${seconds(backMs - killedMs)} after the kill`)
  await cluster.complete()
})
