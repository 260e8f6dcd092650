// failsafe_mode: etcd is away and every other member is there, so the leader goes on; a leader that is cut off from the
// others does not.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

const TTL_MS = 5_000
const AWAY_MS = 4 * TTL_MS

const { cluster, network } = await startCluster(
  { after },
  {
    network: true,
    etcd: 3,
    members: 3,
    proxies: 1,
    dcs: { failsafe_mode: true, synchronous_mode: true },
  },
)

test('failsafe mode: etcd frozen for four leases costs no write, and the same leader goes on in the same term', async t => {
  const leader = await cluster.leader()
  await waitFor('all three to be in the failsafe key', { withinMs: 15_000 }, async note => {
    const text = await keyText(cluster, 'failsafe')
    note(text)
    return text !== '' && Object.keys(JSON.parse(text)).length === 3
  })
  const { timeline } = await leader.status()
  const witness = await Witness.start(cluster)
  const frozenMs = performance.now()
  await Promise.all(cluster.etcd.members.map(member => member.server.freeze()))
  await sleep(AWAY_MS)
  const during = await leader.status()
  assert.equal(during['failsafe_mode_is_active'], true)
  for (const member of cluster.etcd.members) member.server.thaw()
  await waitFor('the leader key to be its own', { withinMs: 20_000 }, async () => {
    return (await keyText(cluster, 'leader').catch(() => '')) === leader.name
  })
  await sleep(2_000)
  const report = await witness.finish(frozenMs)
  assertSafe(report)
  assert.deepEqual(report.tally.failures, [])
  assert.equal((await leader.status()).timeline, timeline)
  t.diagnostic(
    `${report.verdict.acknowledged} rows, longest gap ${seconds(report.outage.ms)}, no failed write`,
  )
})

async function takesWrites(member: Member): Promise<boolean> {
  if ((await member.serverProcesses()).length === 0) return false
  const rows = await member
    .query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')
    .catch(() => [])
  return rows[0]?.standby === false
}

test('failsafe mode: a leader that is cut off from etcd and from the others stops before its lease can end', async t => {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const cutMs = performance.now()
  const hosts = [...cluster.members, ...cluster.etcd.members, ...cluster.proxies].map(part => part.host)
  for (const host of hosts) if (host !== old.host) await network.cut(old.host, host)
  const leader = await cluster.leader({ not: [old], withinMs: 60_000 })
  const leadsMs = performance.now()
  assert.equal(await takesWrites(old), false, 'the old server takes no writes when another leads')
  await witness.writesAgain(leadsMs)
  await network.heal()
  await cluster.complete(60_000)
  const report = await witness.finish(cutMs)
  assertSafe(report)
  t.diagnostic(`${leader.name} leads ${seconds(leadsMs - cutMs)} after the cut`)
})
