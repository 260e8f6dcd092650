// The leader's postmaster dies while one of its backends is busy. A backend outlives its postmaster and could acknowledge
// a commit seconds later: the agent ends the whole family before the server runs again.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { startBusyStatements } from './busy.ts'
import { assertSafe, seconds, tellOutage, Witness } from './witness.ts'

const { cluster } = await startCluster(
  { after },
  { etcd: 1, proxies: 2, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('postmaster killed with a backend busy in a statement of 3 s: nothing lost, and the busy backend acknowledges nothing', async t => {
  const witness = await Witness.start(cluster)
  const leader = await cluster.leader()
  const busy = await startBusyStatements(cluster, leader, 3)
  const family = await leader.serverProcesses()
  const postmaster = await leader.postmasterPid()
  const killedMs = performance.now()
  await leader.killPostmaster()
  await waitFor('a server that takes writes', { withinMs: 30_000, everyMs: 20 }, async note => {
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
