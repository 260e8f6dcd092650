// Asynchronous replication, and a leader whose agent is gone or stands still while its server runs on. Nobody can stop
// such a server: through a proxy it acknowledges nothing once another one leads; on its own port it goes on until the
// agent is back. How long that was is measured and printed, because it is the reason to use synchronous replication.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { READ_ONLY } from '../../src/demo/tally.ts'
import { startCluster } from '../support/fixture.ts'
import { assertNothingWithoutLeader, type Report, seconds, Witness } from './witness.ts'

const AFTER_FAILOVER_MS = 3_000
const LEASE_MS = 5_000

const { cluster } = await startCluster({ after }, { etcd: 1, proxies: 2 })

/** Takes the leader's agent away, brings it back after the failover, and reports what clients saw. */
async function abandon(take: (old: Member) => Promise<void>, bringBack: (old: Member) => Promise<void>) {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const takenMs = performance.now()
  await take(old)
  await cluster.leader({ not: [old], withinMs: 60_000 })
  await witness.writesAgain(performance.now())
  await sleep(AFTER_FAILOVER_MS)
  await bringBack(old)
  await cluster.complete(60_000)
  return { report: await witness.finish(takenMs), takenMs }
}

/** What holds without synchronous replication: rows may be lost, but no proxy helps an old leader to acknowledge any. */
function assertFenced(t: TestContext, { report, takenMs }: { report: Report; takenMs: number }): void {
  const { staleDirect, staleThroughProxies, window, tally, verdict, outage } = report
  const windowMs = Math.max(0, ...staleDirect.map(({ lateByMs }) => lateByMs))
  t.diagnostic(
    `outage ${seconds(outage.ms)}; on the direct port ${window.commits} commits within ${seconds(window.ms)} after the ` +
      `key had gone, ${staleDirect.length} commits of the old epoch, the last ` +
      `${seconds(windowMs)} after the new epoch's first; through the proxies 0; ${verdict.missing.length} of ` +
      `${verdict.acknowledged} acknowledged rows lost`,
  )
  assertNothingWithoutLeader(report, takenMs, LEASE_MS)
  assert.deepEqual(staleThroughProxies, [], 'an older epoch was acknowledged through a proxy')
  assert.deepEqual(verdict.doubled, [])
  assert.equal(tally.count(READ_ONLY), 0, 'a write reached a server in recovery')
  assert.ok(staleDirect.length > 0, 'the probe on the direct port saw the abandoned server at work')
}

test('asynchronous, agent killed: nothing of the old epoch through any proxy, and the window on the direct port is told', async t => {
  const seen = await abandon(
    old => old.agent.kill(),
    old => old.agent.start(),
  )
  assertFenced(t, seen)
})

test('asynchronous, agent frozen: nothing of the old epoch through any proxy, and the window on the direct port is told', async t => {
  const seen = await abandon(
    old => old.agent.freeze(),
    async old => old.agent.thaw(),
  )
  assertFenced(t, seen)
})
