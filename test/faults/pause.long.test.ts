// A paused cluster: whatever dies or is stopped, nothing is elected, started or stopped; what is asked for by name works.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

const TTL_MS = 5_000
const { cluster } = await startCluster({ after }, { etcd: 1, members: 3, proxies: 1 })

async function pause(isPaused: boolean): Promise<void> {
  await changeConfig(cluster, { pause: isPaused ? true : null })
  for (const member of cluster.members) {
    await waitFor(`${member.name} to know`, { withinMs: 15_000 }, async () => {
      return ((await member.status())['pause'] === true) === isPaused
    })
  }
}

async function isWritable(member: Member): Promise<boolean> {
  const [row] = await member.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')
  return row?.standby === false
}

test('paused and etcd away for three leases: the leader stays a primary, and its sessions behind the proxy live on', async () => {
  await pause(true)
  const leader = await cluster.leader()
  const [proxy] = cluster.proxies
  const [etcd] = cluster.etcd.members
  assert.ok(proxy && etcd)
  const slow = queryOnce(proxy.write, `SELECT pg_sleep(${(3 * TTL_MS) / 1000})`, [], 4 * TTL_MS)
  await etcd.server.freeze()
  await slow
  assert.ok(await isWritable(leader))
  etcd.server.thaw()
  await waitFor(
    'the key to be its again',
    { withinMs: 15_000 },
    async () => (await keyText(cluster, 'leader')) === leader.name,
  )
  assert.ok(await isWritable(leader))
})

test('paused, etcd away, and the leader’s agent started again meanwhile: the pause is remembered and the server runs on', async () => {
  const leader = await cluster.leader()
  const [etcd] = cluster.etcd.members
  assert.ok(etcd)
  const postmaster = await leader.postmasterPid()
  await etcd.server.freeze()
  await leader.agent.kill()
  await leader.agent.start()
  await sleep(2 * TTL_MS)
  assert.ok(await isWritable(leader))
  etcd.server.thaw()
  await waitFor(
    'the key to be its again',
    { withinMs: 20_000 },
    async () => (await keyText(cluster, 'leader')) === leader.name,
  )
  assert.equal(await leader.postmasterPid(), postmaster)
})

test('paused: a standby whose server is killed stays down, and a leader whose server is killed gives the key up', async () => {
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await standby.killServer()
  await leader.killServer()
  await waitFor(
    'the key to be given up',
    { withinMs: 10_000 },
    async () => (await keyText(cluster, 'leader')) === '',
  )
  await sleep(TTL_MS)
  assert.equal(await keyText(cluster, 'leader'), '', 'nobody is elected')
  assert.deepEqual(
    [(await standby.serverProcesses()).length, (await leader.serverProcesses()).length],
    [0, 0],
  )
})

test('paused: the agent stopped and started again leaves its server alone', async () => {
  const running = cluster.members[await runningIndex()]
  assert.ok(running)
  const pid = await running.postmasterPid()
  await running.agent.stop()
  assert.equal(await running.postmasterPid(), pid)
  await running.agent.start()
  await waitFor(
    'it to answer',
    { withinMs: 10_000 },
    async () => (await running.status()).state === 'running',
  )
  assert.equal(await running.postmasterPid(), pid)
})

async function runningIndex(): Promise<number> {
  const counts = await Promise.all(
    cluster.members.map(async member => (await member.serverProcesses()).length),
  )
  return counts.findIndex(count => count > 0)
}

test('the pause is over: everybody is started, somebody leads, and the others follow', async () => {
  await pause(false)
  await cluster.leader()
  await cluster.complete(60_000)
})

test('paused: a switchover to a named candidate is carried out', async () => {
  await pause(true)
  const old = await cluster.leader()
  const [candidate] = await cluster.replicas()
  assert.ok(candidate)
  const body = JSON.stringify({ leader: old.name, candidate: candidate.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(30_000) })
  assert.equal(answer.code, 200, answer.body)
  assert.equal((await cluster.leader({ not: [old] })).name, candidate.name)
  await cluster.complete()
  await pause(false)
})

test('paused and etcd away: a primary that is restarted by an order comes back as a primary', async () => {
  await pause(true)
  const leader = await cluster.leader()
  const [etcd] = cluster.etcd.members
  assert.ok(etcd)
  await etcd.server.freeze()
  await sleep(2 * TTL_MS)
  const before = await leader.postmasterPid()
  const answer = await leader.rest('/restart', {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(30_000),
  })
  etcd.server.thaw()
  assert.deepEqual([answer.code, answer.body], [200, 'restarted successfully'])
  assert.notEqual(await leader.postmasterPid(), before)
  assert.ok(await isWritable(leader))
  await cluster.leader({ withinMs: 20_000 })
})

test('paused: a member that is copied afresh by an order is started again', async () => {
  await cluster.complete(30_000)
  const [member] = await cluster.replicas()
  assert.ok(member)
  const before = await member.postmasterPid()
  const answer = await member.rest('/reinitialize', { method: 'POST', body: '{}' })
  assert.equal(answer.code, 200, answer.body)
  await waitFor('it to stream again', { withinMs: 60_000 }, async note => {
    const status = await member.status()
    note(JSON.stringify(status))
    return status.state === 'running' && status['replication_state'] === 'streaming'
  })
  assert.notEqual(await member.postmasterPid(), before)
  await pause(false)
})
