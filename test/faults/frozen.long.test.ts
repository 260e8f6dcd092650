// The long versions: an agent frozen for 40 s, and etcd frozen for 60 s in failsafe mode.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { assertNothingWithoutLeader, assertSafe, seconds, tellOutage, Witness } from './witness.ts'

const AGENT_FROZEN_MS = 40_000
const ETCD_FROZEN_MS = 60_000
/** The cluster's ttl. */
const LEASE_MS = 5_000

const { cluster } = await startCluster(
  { after },
  {
    etcd: 3,
    members: 3,
    proxies: 1,
    dcs: { failsafe_mode: true, synchronous_mode: true, synchronous_mode_strict: true },
  },
)

test('failsafe mode: etcd frozen for 60 s costs no write', async t => {
  const leader = await cluster.leader()
  await waitFor('all three to be in the failsafe key', { withinMs: 15_000 }, async note => {
    const text = await keyText(cluster, 'failsafe')
    note(text)
    return text !== '' && Object.keys(JSON.parse(text)).length === 3
  })
  const witness = await Witness.start(cluster)
  const frozenMs = performance.now()
  await Promise.all(cluster.etcd.members.map(member => member.server.freeze()))
  await sleep(ETCD_FROZEN_MS)
  for (const member of cluster.etcd.members) member.server.thaw()
  await waitFor('the leader key to be its own', { withinMs: 20_000 }, async () => {
    return (await keyText(cluster, 'leader').catch(() => '')) === leader.name
  })
  await sleep(2_000)
  const report = await witness.finish(frozenMs)
  assertSafe(report)
  assert.deepEqual(report.tally.failures, [])
  t.diagnostic(
    `${report.verdict.acknowledged} rows, longest gap ${seconds(report.outage.ms)}, no failed write`,
  )
})

test('the leader’s agent frozen for 40 s: its server takes no writes through the proxy after another leads, and none afterwards', async t => {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const frozenMs = performance.now()
  await old.agent.freeze()
  await cluster.leader({ not: [old], withinMs: 60_000 })
  await witness.writesAgain(performance.now())
  await sleep(Math.max(0, AGENT_FROZEN_MS - (performance.now() - frozenMs)))
  old.agent.thaw()
  await cluster.complete(60_000)
  assert.notEqual(await keyText(cluster, 'leader'), old.name)
  const report = await witness.finish(frozenMs)
  assertSafe(report)
  assertNothingWithoutLeader(report, frozenMs, LEASE_MS)
  assert.deepEqual(
    report.staleDirect,
    [],
    'a commit of the old epoch after one of the new, on a server itself',
  )
  tellOutage(t, report, 9_000)
})
