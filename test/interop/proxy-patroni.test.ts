// Our proxy in front of a cluster of Debian's Patroni 3.0.2, found once through etcd and once through /cluster alone:
// what a migrating user has on the first day.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkWrites } from '../../src/demo/checker.ts'
import { Cluster } from '../../src/demo/cluster.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import type { Router } from '../../src/demo/router.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { READ_ONLY } from '../../src/demo/tally.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { connecting, newSeen } from '../faults/drain.ts'
import { makeWorkplace } from '../support/workplace.ts'

/** Each is a server process made and ended, 50 ms of processor time on a small virtual machine, beside three servers. */
const CONNECTS_PER_SECOND = 8

const work = await makeWorkplace({ after })
const cluster = await Cluster.create({
  layout: new LoopbackLayout(work.data, work.logs),
  program: work.program,
  etcd: 1,
  members: ['patroni', 'patroni', 'patroni'],
  proxies: 1,
  dcs: { retry_timeout: 2 },
  parameters: { fsync: 'off', synchronous_standby_names: 'ANY 1 (*)' },
})
work.defer(() => cluster.remove())
await cluster.start()
const [proxy] = cluster.proxies
assert.ok(proxy)
await reaches(proxy, await cluster.leader())
async function reaches(router: Router, leader: Member): Promise<void> {
  await waitFor(
    `the write port of ${router.name} to reach ${leader.name}`,
    { withinMs: 20_000 },
    async note => {
      note(`no session; the proxy: ${JSON.stringify(await lookAt(router))}`)
      const [row] = await queryOnce<{ address: string }>(
        router.write,
        'SELECT host(inet_server_addr()) AS address',
      )
      note(row?.address ?? 'nothing')
      return row?.address === leader.host.address
    },
  )
}

async function orderSwitchover(old: Member, candidate: Member): Promise<void> {
  const answer = await old.rest('/switchover', {
    method: 'POST',
    body: JSON.stringify({ leader: old.name, candidate: candidate.name }),
    signal: AbortSignal.timeout(30_000),
  })
  assert.equal(answer.code, 200, answer.body)
}

async function throughFault(name: string, fault: (leader: Member) => Promise<Member>): Promise<void> {
  assert.ok(proxy)
  const old = await cluster.leader()
  const table = `writes_${name}`
  await createWritesTable(sql => old.query(sql), table)
  const writer = Writer.start({ target: proxy.write, sessions: 4, ratePerSecond: 50, reconnect: true, table })
  await waitFor('first rows', { withinMs: 20_000 }, async () => writer.tally.acknowledged > 20)
  const faultAtMs = performance.now()
  const leader = await fault(old)
  await waitFor('writes to come back', { withinMs: 60_000 }, async note => {
    note(JSON.stringify(writer.tally.summary(performance.now())))
    return writer.tally.latestMs > faultAtMs + 1_000 && (await cluster.leaderKey()) === leader.name
  })
  await reaches(proxy, leader)
  const tally = await writer.stop()
  const summary = tally.summary(performance.now())
  const verdict = await checkWrites((sql, values) => leader.query(sql, values), tally, table)
  console.log(`${name}: ${JSON.stringify(summary)}`)
  assert.equal(tally.count(READ_ONLY), 0, 'no write reached a server in recovery')
  assert.deepEqual(verdict.missing, [])
  assert.deepEqual(verdict.doubled, [])
}

test('Patroni 3.0.2: the proxy follows a switchover without one error 25006 or a lost row', async () => {
  await throughFault('switchover', async old => {
    const [candidate] = await cluster.replicas()
    assert.ok(candidate)
    await orderSwitchover(old, candidate)
    return cluster.leader({ not: [old] })
  })
  await cluster.complete()
})

interface Look {
  readonly epoch: { readonly member: string } | null
  readonly has_leader_key: boolean
  readonly closing: boolean
  readonly write: { readonly takes_new: boolean } | null
  readonly listeners: readonly { readonly name: string; readonly held: number }[]
}

/** What the proxy says of itself. */
async function lookAt(router: Router): Promise<Look> {
  const url = `http://${router.host.address}:${router.ports.admin}/status`
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  return (await answer.json()) as Look
}

/** The same, every 50 ms until told to stop. */
async function looking(router: Router, looks: Look[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    looks.push(await lookAt(router))
    await sleep(50)
  }
}

test('Patroni 3.0.2: a switchover holds new sessions before the old leader goes, and no connect fails', async t => {
  assert.ok(proxy)
  const old = await cluster.leader()
  const [candidate] = await cluster.replicas()
  assert.ok(candidate)
  const seen = newSeen()
  const looks: Look[] = []
  const stopping = new AbortController()
  const { signal } = stopping
  const again = function* () {
    for (;;) yield proxy.write
  }
  const load = Promise.all([
    connecting(again(), CONNECTS_PER_SECOND, seen, signal),
    looking(proxy, looks, signal),
  ])
  try {
    await waitFor('connects', { withinMs: 20_000 }, async () => seen.connects > 10)
    await orderSwitchover(old, candidate)
    await reaches(proxy, await cluster.leader({ not: [old] }))
  } finally {
    stopping.abort()
    await load
  }
  const held = (look: Look) => look.listeners.find(({ name }) => name === 'write')?.held ?? 0
  const before = looks.filter(look => look.epoch?.member === old.name && look.has_leader_key)
  const holding = before.filter(look => look.closing && look.write?.takes_new !== true)
  t.diagnostic(
    `${seen.connects} connects, ${seen.failedConnects.length} failed; ${Math.max(...looks.map(held))} held at most, ` +
      `${Math.max(0, ...holding.map(held))} of them while ${old.name} still had the key`,
  )
  assert.deepEqual(seen.failedConnects, [])
  assert.ok(
    holding.some(look => held(look) > 0),
    'nobody was held while the old leader still had the key',
  )
  await cluster.complete()
})

test('Patroni 3.0.2: the proxy follows the crash of the leader’s host without one error 25006 or a lost row', async () => {
  const old = await cluster.leader()
  await throughFault('crash', async () => {
    await old.host.kill()
    return cluster.leader({ not: [old] })
  })
  await old.agent.start()
  await cluster.complete()
})

test('Patroni 3.0.2: a proxy that knows only one member’s REST address finds the leader and the replicas', async () => {
  assert.ok(proxy)
  // It listens on every address, so the other proxy makes room.
  await proxy.server.stop()
  const leader = await cluster.leader()
  const discovered = proxy.host.server({
    name: 'discovered',
    command: [...work.program, 'proxy', '--patroni', leader.restAddress],
  })
  await discovered.start()
  const answering = async (port: number) => {
    const target = { ...leader.direct, host: '127.0.0.1', port }
    const [row] = await queryOnce<{ address: string }>(target, 'SELECT host(inet_server_addr()) AS address')
    return row?.address ?? 'nothing'
  }
  await waitFor('the write port to reach the leader', { withinMs: 20_000 }, async note => {
    const address = await answering(5000)
    note(address)
    return address === leader.host.address
  })
  const replicas = (await cluster.replicas()).map(({ host }) => host.address).sort()
  await waitFor('the read port to reach every replica in turn', { withinMs: 20_000 }, async note => {
    const round = [await answering(6000), await answering(6000)].sort()
    note(round.join())
    return round.join() === replicas.join()
  })
})
