// etcd comes back from an older backup: its revisions are smaller, and what it says of the leader is out of date.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { type Position, positionOf } from '../../src/demo/etcd-calls.ts'
import type { Member } from '../../src/demo/member.ts'
import type { Router } from '../../src/demo/router.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

const { cluster, work } = await startCluster(
  { after },
  { etcd: 3, members: 3, proxies: 2, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

/** The leadership moves from `first`; resolves when the other leads and all are there. */
async function switchOver(first: Member): Promise<void> {
  const body = JSON.stringify({ leader: first.name })
  const signal = AbortSignal.timeout(30_000)
  const answer = await first.rest('/switchover', { method: 'POST', body, signal })
  assert.equal(answer.code, 200, answer.body)
  await cluster.leader({ not: [first] })
  await cluster.complete()
}

/** Restores, and shows that agents and proxies follow; resolves to the positions before and after. */
async function restored(
  t: TestContext,
  snapshot: string,
  hasSameIdentity: boolean,
): Promise<readonly [Position, Position]> {
  const logs = await Promise.all(cluster.proxies.map(logOf))
  const [asked] = cluster.etcd.endpoints
  assert.ok(asked)
  const before = await positionOf(asked)
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const restoredMs = performance.now()
  await cluster.etcd.restore(snapshot, { hasSameIdentity })
  const after = await positionOf(asked)
  const leader = await cluster.leader({ withinMs: 60_000 })
  await witness.writesAgain(performance.now())
  await cluster.complete(60_000)
  const report = await witness.finish(restoredMs)
  t.diagnostic(`${old.name} led, ${leader.name} leads; outage ${seconds(report.outage.ms)}`)
  assertSafe(report)
  for (const [index, proxy] of cluster.proxies.entries()) {
    await waitFor(`${proxy.name} to say so`, { withinMs: 30_000 }, async () => {
      return /etcd was restored or replaced/.test((await logOf(proxy)).slice(logs[index]?.length))
    })
    await waitFor('the write port to reach the leader', { withinMs: 30_000 }, async note => {
      const sql = 'SELECT host(inet_server_addr()) AS address'
      const [row] = await queryOnce<{ address: string }>(proxy.write, sql)
      note(String(row?.address))
      return row?.address === leader.host.address
    })
  }
  return [before, after]
}

function logOf({ server }: Router): Promise<string> {
  return readFile(server.logFile, 'utf8')
}

test('etcd restored from an older snapshot that names another leader: agents and proxies follow the new truth', async t => {
  const first = await cluster.leader()
  const snapshot = path.join(work.data, 'etcd.snapshot')
  await cluster.etcd.snapshot(snapshot)
  await switchOver(first)
  const [before, after] = await restored(t, snapshot, false)
  assert.notEqual(after.clusterId, before.clusterId)
})

test('etcd restored as itself, with a smaller revision and an older raft term: agents and proxies follow the new truth', async t => {
  const first = await cluster.leader()
  const snapshot = path.join(work.data, 'etcd-as-itself.snapshot')
  await cluster.etcd.snapshot(snapshot)
  await switchOver(first)
  // Each election raises the term above what a restored cluster begins with.
  for (let count = 0; count < 4; count += 1) await cluster.etcd.moveLeader()
  const [before, after] = await restored(t, snapshot, true)
  assert.equal(after.clusterId, before.clusterId, 'the case is about the same cluster id')
  assert.ok(after.revision < before.revision, `revision ${after.revision} after ${before.revision}`)
  assert.ok(after.raftTerm < before.raftTerm, `term ${after.raftTerm} after ${before.raftTerm}`)
})
