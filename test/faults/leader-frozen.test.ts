// The leader's agent, or its whole host, stands still and goes on later: a stalled hypervisor, a paused machine.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { assertNothingWithoutLeader, assertSafe, seconds, tellOutage, Witness } from './witness.ts'

const FROZEN_MS = 15_000
const LEASE_MS = 5_000
const SHOULD_TAKE_MS = 6_500

const { cluster } = await startCluster(
  { after },
  { etcd: 3, members: 3, proxies: 2, dcs: { synchronous_mode: 'quorum', synchronous_mode_strict: true } },
)

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

test('the leader’s agent frozen for 15 s: another leads, nothing is lost, and the old one comes back as a replica', async t => {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const frozenMs = performance.now()
  await old.agent.freeze()
  await cluster.leader({ not: [old], withinMs: 30_000 })
  await witness.writesAgain(performance.now())
  await sleep(Math.max(0, FROZEN_MS - (performance.now() - frozenMs)))
  old.agent.thaw()
  await cluster.complete(60_000)
  assert.notEqual(await cluster.leaderKey(), old.name, 'the thawed agent does not take the lock back')
  const report = await witness.finish(frozenMs)
  assertSafe(report)
  assertNothingWithoutLeader(report, frozenMs, LEASE_MS)
  tellOutage(t, report, SHOULD_TAKE_MS)
})

test('everything on the leader’s host frozen and thawed: nothing is lost and nobody takes the lock back', async t => {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const frozenMs = performance.now()
  await old.host.freeze()
  await cluster.leader({ not: [old], withinMs: 30_000 })
  await witness.writesAgain(performance.now())
  await sleep(Math.max(0, FROZEN_MS - (performance.now() - frozenMs)))
  const thawedMs = performance.now()
  await old.host.thaw()
  await cluster.complete(60_000)
  assert.notEqual(await cluster.leaderKey(), old.name, 'the thawed agent does not take the lock back')
  const report = await witness.finish(frozenMs)
  t.diagnostic(`whole again ${seconds(performance.now() - thawedMs)} after the thaw`)
  assertSafe(report)
  assertNothingWithoutLeader(report, frozenMs, LEASE_MS)
  tellOutage(t, report, SHOULD_TAKE_MS)
})
