// One agent, one server, one etcd: a cluster is born, its leader is known by the same transaction that names it, and the
// agent may die and come back without anybody noticing.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import pg from 'pg'
import type { MemberStatus } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { startCluster } from '../support/fixture.ts'
import { keysOf } from './etcd-keys.ts'

/** Longer than a new agent takes to start on a machine that has much else to do: a term ends when its lease does. */
const TTL_S = 30
const MARGIN_MS = 500

const { cluster } = await startCluster({ after }, { etcd: 1, members: 1, proxies: 0, dcs: { ttl: TTL_S } })
const pg1 = cluster.member('pg1')

test('the leader key, the system identifier and the configuration are written in one transaction, last of all', async () => {
  const keys = await keysOf(cluster)
  const { initialize, config, leader } = keys
  assert.ok(initialize && config && leader, Object.keys(keys).join(', '))
  assert.equal(leader.createRevision, config.createRevision)
  assert.equal(leader.createRevision, initialize.modRevision)
  assert.ok(initialize.createRevision < initialize.modRevision, 'the scope is claimed before initdb runs')
  const [row] = await pg1.query<{ id: string }>(
    'SELECT system_identifier::text AS id FROM pg_control_system()',
  )
  assert.equal(initialize.value, row?.id)
  assert.equal(leader.value, 'pg1')
  assert.equal(
    leader.leaseId,
    keys['members/pg1']?.leaseId,
    'one lease carries the member and the leader key',
  )
  assert.notEqual(leader.leaseId, 0n)
})

test('the configuration is kept beside the data, for a start without etcd, as Patroni keeps it', async () => {
  const { config } = await keysOf(cluster)
  const file = path.join(pg1.dataDir, 'patroni.dynamic.json')
  const kept = await waitFor('the file', { withinMs: 30_000 }, () => readFile(file, 'utf8'))
  assert.deepEqual(JSON.parse(kept), JSON.parse(config?.value ?? ''))
})

test('the health checks answer for a leader, by GET, HEAD and OPTIONS', async () => {
  const expected: readonly (readonly [string, number])[] = [
    ['/', 200],
    ['/primary', 200],
    ['/read-write', 200],
    ['/leader', 200],
    ['/standby-leader', 503],
    ['/replica', 503],
    ['/read-only', 200],
    ['/health', 200],
  ]
  for (const [target, code] of expected) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      assert.equal((await pg1.rest(target, { method })).code, code, `${method} ${target}`)
    }
  }
  for (const target of ['/liveness', '/readiness']) {
    assert.equal((await pg1.rest(target)).code, 200, target)
    assert.equal((await pg1.rest(target, { method: 'OPTIONS' })).code, 503, `these two answer GET alone`)
  }
})

test('/patroni tells role, timeline and how long the lease is safe by the own clock', async () => {
  const status = await pg1.status()
  assert.equal(status.role, 'primary')
  assert.equal(status.state, 'running')
  assert.equal(status.timeline, 1)
  const leftMs = leaseLeftMs(status)
  assert.ok(leftMs > 0 && leftMs <= TTL_S * 1_000 - MARGIN_MS, `${leftMs} ms left of a ttl of ${TTL_S} s`)
})

test('the agent killed and started again takes over: same server, same term, no session cut', async () => {
  const client = await openSession()
  const pid = await backendPid(client)
  const before = await termOf()
  await pg1.agent.kill()
  await pg1.agent.start()
  await waitFor('the agent to hold its lease again', { withinMs: 15_000 }, async note => {
    const status = await pg1.status()
    note(JSON.stringify(status))
    return leaseLeftMs(status) > 0
  })
  assert.deepEqual(await termOf(), before)
  assert.equal(await backendPid(client), pid)
  await client.end()
})

test('the postmaster killed: the server starts in place, in the same term and on the same timeline', async () => {
  const { postmaster, ...before } = await termOf()
  await pg1.killPostmaster()
  await waitFor('the server to be back', { withinMs: 20_000 }, async note => {
    const after = await termOf()
    note(`postmaster ${after.postmaster}`)
    return after.postmaster !== postmaster
  })
  const { postmaster: _another, ...now } = await termOf()
  assert.deepEqual(now, before)
})

test('a clean stop shuts the server down and releases the key at once; the next start leads on a new timeline', async () => {
  const { timeline, leaderCreated } = await termOf()
  const exit = await pg1.agent.stop(20_000)
  assert.deepEqual(exit, { code: 0, signal: undefined })
  const keys = await keysOf(cluster)
  assert.equal(keys['leader'], undefined, 'the leader key is deleted, not left to its lease')
  assert.deepEqual(await pg1.serverProcesses(), [])
  assert.equal(await controlState(), 'shut down')
  await pg1.agent.start()
  await cluster.leader()
  const after = await termOf()
  assert.equal(after.timeline, timeline + 1)
  assert.ok(after.leaderCreated > leaderCreated)
})

/** What tells one term of leadership and one run of the server from another. */
async function termOf() {
  const { leader } = await keysOf(cluster)
  assert.ok(leader, 'there is a leader key')
  const [row] = await pg1.query<{ timeline: number }>(
    "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline",
  )
  assert.ok(row)
  return {
    leaderCreated: leader.createRevision,
    timeline: row.timeline,
    postmaster: await pg1.postmasterPid(),
  }
}

async function openSession() {
  const client = new pg.Client({ ...pg1.direct, database: 'postgres' })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function backendPid(client: pg.Client): Promise<number | undefined> {
  return (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
}

function leaseLeftMs(status: MemberStatus): number {
  return (status['pgherd'] as { readonly lease_left_ms: number }).lease_left_ms
}

async function controlState(): Promise<string | undefined> {
  const tool = path.join(pg1.config.binDir, 'pg_controldata')
  const { stdout } = await runChild(tool, [pg1.dataDir], {
    by: Deadline.in(realClock, 5_000),
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  })
  return /^Database cluster state: +(.*)$/m.exec(stdout)?.[1]
}
