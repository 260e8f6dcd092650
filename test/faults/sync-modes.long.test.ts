// The synchronous modes on real servers: who confirms, who may succeed, what etcd shows, and that nothing is lost.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { assertSafe, MARGIN, seconds, tellOutage, Witness } from './witness.ts'

/** A new parameter and a new name in the key; a commit that waited for a standby that is gone would take a turn of the loop. */
const WITHOUT_WAIT_MS = 200

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 3, proxies: 1, dcs: { synchronous_mode: true } },
)

interface SyncKey {
  readonly leader: string
  readonly quorum: number
  readonly sync_standby: string | null
}

/** Waits for the key and returns its text, to the letter. */
async function untilSync(what: string, isRight: (key: SyncKey) => boolean): Promise<string> {
  return waitFor(what, { withinMs: 30_000, everyMs: 50 }, async note => {
    const text = await keyText(cluster, 'sync')
    note(text)
    return text !== '' && isRight(JSON.parse(text)) ? text : undefined
  })
}

const standbysOf = (text: string) => ((JSON.parse(text) as SyncKey).sync_standby ?? '').split(',')

async function namesOf(leader: Member): Promise<string | undefined> {
  const [row] = await leader.query<{ names: string }>(
    "SELECT current_setting('synchronous_standby_names') AS names",
  )
  return row?.names
}

test('synchronous_mode on: the sync key names one standby in its exact form, and the server waits for it', async () => {
  const leader = await cluster.leader()
  const text = await untilSync('a standby to be named', key => key.sync_standby !== null)
  const [standby] = standbysOf(text)
  assert.equal(text, `{"leader":"${leader.name}","quorum":0,"sync_standby":"${standby}"}`)
  assert.equal(await namesOf(leader), standby)
  const codes = await Promise.all(
    cluster.members.map(async member => [
      (await member.rest('/sync')).code,
      (await member.rest('/async')).code,
    ]),
  )
  assert.deepEqual(
    codes,
    cluster.members.map(({ name }) => [
      name === standby ? 200 : 503,
      name === standby || name === leader.name ? 503 : 200,
    ]),
  )
})

test('the only standby killed and started again: the sync key names it, then null, then it again', async t => {
  const leader = await cluster.leader()
  const text = await untilSync('a standby to be named', key => key.sync_standby !== null)
  const [name = ''] = standbysOf(text)
  const spare = cluster.members.find(member => member !== leader && member.name !== name)
  assert.ok(spare)
  await spare.host.kill()
  const killedMs = performance.now()
  await cluster.member(name).host.kill()
  const none = await untilSync('nobody to be named', key => key.sync_standby === null)
  t.diagnostic(`null ${seconds(performance.now() - killedMs)} after the kill`)
  assert.equal(none, `{"leader":"${leader.name}","quorum":0,"sync_standby":null}`)
  await leader.query('CREATE TABLE IF NOT EXISTS alone (id int)')
  assert.equal(await namesOf(leader), '')
  await cluster.member(name).agent.start()
  assert.equal(await untilSync('it to be named again', key => key.sync_standby === name), text)
  await spare.agent.start()
  await cluster.complete()
})

test('the synchronous standby restarted by order leaves the key first: no write waits for it', async t => {
  await cluster.complete(60_000)
  const text = await untilSync('a standby to be named', key => key.sync_standby !== null)
  const [name = ''] = standbysOf(text)
  const standby = cluster.member(name)
  const before = (await standby.status())['postmaster_start_time']
  const witness = await Witness.start(cluster)
  const orderedMs = performance.now()
  const restarting = standby.rest('/restart', {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(60_000),
  })
  await untilSync(`${name} to be named no more`, key => key.sync_standby !== name)
  t.diagnostic(`named no more ${seconds(performance.now() - orderedMs)} after the order`)
  assert.equal((await restarting).code, 200)
  assert.notEqual((await standby.status())['postmaster_start_time'], before)
  await cluster.complete(60_000)
  const report = await witness.finish(orderedMs)
  assertSafe(report)
  assert.deepEqual(report.tally.failures, [])
  t.diagnostic(`longest gap ${seconds(report.outage.ms)}`)
  assert.ok(report.outage.ms < WITHOUT_WAIT_MS * MARGIN, `no row for ${seconds(report.outage.ms)}`)
})

test('the leader host killed in synchronous mode: the named standby leads, and no acknowledged row is lost', async t => {
  const old = await cluster.leader()
  const named = await untilSync('a standby to be named', key => key.sync_standby !== null)
  const witness = await Witness.start(cluster)
  const killedMs = performance.now()
  await old.host.kill()
  const leader = await cluster.leader({ not: [old] })
  assert.deepEqual(standbysOf(named), [leader.name])
  await witness.writesAgain(performance.now())
  await old.agent.start()
  await cluster.complete(60_000)
  await sleep(1_000)
  const report = await witness.finish(killedMs)
  assertSafe(report)
  tellOutage(t, report, 7_000)
})

test('strict: with both standbys killed a write waits and the log says why; it is acknowledged when one is back', async t => {
  await changeConfig(cluster, { synchronous_mode_strict: true })
  const leader = await cluster.leader()
  await untilSync('a standby to be named', key => key.sync_standby !== null)
  const others = cluster.members.filter(member => member !== leader)
  await leader.query('CREATE TABLE IF NOT EXISTS strictly (id int)')
  await Promise.all(others.map(member => member.host.kill()))
  let isAcknowledged = false
  const insert = queryOnce(leader.direct, 'INSERT INTO strictly VALUES (1)', [], 120_000).then(() => {
    isAcknowledged = true
  })
  await waitFor('the log to say why writes wait', { withinMs: 15_000 }, async () =>
    (await readFile(leader.agent.logFile, 'utf8')).includes(
      'No active replication connections from Patroni members and synchronous_mode_strict is requested',
    ),
  )
  await sleep(3_000)
  assert.equal(isAcknowledged, false, 'acknowledged without a standby')
  assert.notEqual(await namesOf(leader), '')
  const backMs = performance.now()
  await Promise.all(others.map(member => member.agent.start()))
  await insert
  t.diagnostic(`acknowledged ${seconds(performance.now() - backMs)} after the standbys were started`)
  await cluster.complete()
  await changeConfig(cluster, { synchronous_mode_strict: null })
})

test('switching to quorum and back, and off: key and parameter follow, one safe step at a time', async t => {
  const leader = await cluster.leader()
  await untilSync('a standby to be named', key => key.sync_standby !== null)
  await changeConfig(cluster, { synchronous_mode: 'quorum' })
  const others = cluster.members.filter(member => member !== leader).map(({ name }) => name)
  const text = await untilSync(
    'both to vote',
    key => key.quorum === 1 && key.sync_standby === others.join(','),
  )
  t.diagnostic(text)
  await waitFor('either to confirm', { withinMs: 30_000 }, async note => {
    const names = await namesOf(leader)
    note(names ?? '')
    return names === `ANY 1 (${others.join(',')})`
  })
  for (const member of cluster.members) {
    assert.equal((await member.rest('/quorum')).code, member === leader ? 503 : 200)
  }
  await changeConfig(cluster, { synchronous_mode: false })
  await waitFor(
    'the sync key to go',
    { withinMs: 15_000 },
    async () => (await keyText(cluster, 'sync')) === '',
  )
  assert.equal(await namesOf(leader), '')
  await changeConfig(cluster, { synchronous_mode: 'quorum' })
  await untilSync('both to vote', key => key.quorum === 1)
})

test('quorum 1 of 2: each member killed in turn, and no acknowledged row is lost', async t => {
  const witness = await Witness.start(cluster)
  const beganMs = performance.now()
  for (const member of cluster.members) {
    await untilSync('both to vote', key => key.quorum === 1 && standbysOf(JSON.stringify(key)).length === 2)
    await member.host.kill()
    await cluster.leader({ not: [member] })
    await witness.writesAgain(performance.now())
    await member.agent.start()
    await cluster.complete(60_000)
  }
  const report = await witness.finish(beganMs)
  assertSafe(report)
  tellOutage(t, report, 7_000)
})
