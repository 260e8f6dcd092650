// The synchronous modes on real servers: who confirms, who may succeed, what etcd shows, and that nothing is lost.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, seconds, tellOutage, Witness } from './witness.ts'

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 3, proxies: 1, dcs: { synchronous_mode: true } },
)

interface SyncKey {
  readonly leader: string
  readonly quorum: number
  readonly sync_standby: string | null
}

async function syncKey(): Promise<{ readonly text: string; readonly value: SyncKey }> {
  const text = (
    await cluster.etcd.ctl(['get', '--print-value-only', `/service/${cluster.scope}/sync`])
  ).trim()
  return { text, value: JSON.parse(text) as SyncKey }
}

async function untilSync(what: string, isRight: (key: SyncKey) => boolean): Promise<string> {
  return waitFor(what, { withinMs: 30_000, everyMs: 100 }, async note => {
    const { text, value } = await syncKey()
    note(text)
    return isRight(value) ? text : undefined
  })
}

test('synchronous_mode on: one standby is named in etcd, and the server waits for it', async t => {
  const leader = await cluster.leader()
  const beganMs = performance.now()
  const text = await untilSync('a standby to be named', key => key.sync_standby !== null)
  t.diagnostic(`${text} after ${seconds(performance.now() - beganMs)}`)
  const [row] = await leader.query<{ names: string }>(
    "SELECT current_setting('synchronous_standby_names') AS names",
  )
  assert.equal(row?.names, (await syncKey()).value.sync_standby)
  assert.equal(text, `{"leader":"${leader.name}","quorum":0,"sync_standby":"${row?.names}"}`)
})

test('the leader host killed in synchronous mode: the named standby leads, and no acknowledged row is lost', async t => {
  const old = await cluster.leader()
  const named = await untilSync('a standby to be named', key => key.sync_standby !== null)
  const witness = await Witness.start(cluster)
  const killedMs = performance.now()
  await old.host.kill()
  const leader = await cluster.leader({ not: [old] })
  assert.match(named, new RegExp(`"sync_standby":"${leader.name}"`))
  await witness.writesAgain(performance.now())
  await old.agent.start()
  await cluster.complete(60_000)
  await sleep(1_000)
  const report = await witness.finish(killedMs)
  assertSafe(report)
  tellOutage(t, report, 7_000)
})
