// Parameters on two real members: those of a role follow the role, and a primary that comes back with larger values takes its
// standby with it.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import pg from 'pg'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { callRest } from '../support/rest-actions.ts'

const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 2,
    proxies: 0,
    dcs: {
      postgresql: {
        parameters: { work_mem: '5MB', wal_buffers: '4MB' },
        parameters_primary: { work_mem: '6MB' },
        parameters_replica: { work_mem: '7MB' },
        pg_ident_replica: ['standby nobody postgres'],
        pg_ident: ['general nobody postgres'],
      },
    },
  },
)

async function seen(member: Member): Promise<string> {
  const [row] = await member.query<{ memory: string }>("SELECT current_setting('work_mem') AS memory")
  const ident = await readFile(path.join(member.dataDir, 'pg_ident.conf'), 'utf8')
  return `${row?.memory} ${/^(standby|general)/m.exec(ident)?.[1]}`
}

async function untilSeen(member: Member, want: string): Promise<void> {
  await waitFor(`${want} on ${member.name}`, { withinMs: 20_000 }, async note => {
    const now = await seen(member)
    note(now)
    return now === want
  })
}

test('each role has its own parameters and files, and changes them when it changes', async () => {
  const before = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await untilSeen(before, '6MB general')
  await untilSeen(standby, '7MB standby')
  const body = { leader: before.name, candidate: standby.name }
  assert.equal((await callRest(before, 'POST /switchover', body)).code, 200)
  await untilSeen(standby, '6MB general')
  await untilSeen(before, '7MB standby')
})

test('the primary restarted first with a larger max_connections: its standby stands still, ends and comes back with that', async t => {
  await cluster.complete()
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await changeConfig(cluster, { postgresql: { parameters: { max_connections: 205 } } })
  await waitFor('a pending restart', { withinMs: 15_000 }, async () => {
    return (await leader.status())['pending_restart'] === true
  })
  assert.equal((await callRest(leader, 'POST /restart', {})).code, 200)
  const beganMs = performance.now()
  await leader.query('CREATE TABLE IF NOT EXISTS arrived (id int)')
  await waitFor('the table on the standby', { withinMs: 40_000 }, async note => {
    const [row] = await standby.query<{ there: boolean; most: string }>(
      "SELECT to_regclass('arrived') IS NOT NULL AS there, current_setting('max_connections') AS most",
    )
    note(JSON.stringify(row))
    return row?.there === true && row.most === '205'
  })
  t.diagnostic(`replay went on after ${Math.round(performance.now() - beganMs)} ms`)
})

const MAXIMA = {
  max_connections: 210,
  max_worker_processes: 12,
  max_wal_senders: 14,
  max_prepared_transactions: 5,
  max_locks_per_transaction: 128,
}
const LOWER = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
}

async function maximaOf(member: Member): Promise<Readonly<Record<string, number>>> {
  const rows = await member.query<{ name: string; value: string }>(
    'SELECT name, setting AS value FROM pg_settings WHERE name = ANY ($1)',
    [Object.keys(MAXIMA)],
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, Number(value)]))
}

async function isPending(member: Member): Promise<boolean> {
  return (await member.status())['pending_restart'] === true
}

async function untilPending(member: Member): Promise<void> {
  await waitFor(`a pending restart of ${member.name}`, { withinMs: 20_000 }, () => isPending(member))
}

test('the same value in another unit waits for no restart; another value does, and says which', async () => {
  await cluster.complete()
  const leader = await cluster.leader()
  assert.equal(await isPending(leader), false)
  // One that a reload takes shows that the change has arrived.
  await changeConfig(cluster, {
    postgresql: { parameters: { wal_buffers: '4096kB' }, parameters_primary: { work_mem: '9MB' } },
  })
  await untilSeen(leader, '9MB general')
  assert.equal(await isPending(leader), false)
  await changeConfig(cluster, { postgresql: { parameters: { wal_buffers: '8MB' } } })
  await untilPending(leader)
  const reason = (await leader.status())['pending_restart_reason'] as Readonly<Record<string, unknown>>
  assert.deepEqual(Object.keys(reason), ['wal_buffers'])
  await changeConfig(cluster, { postgresql: { parameters: { wal_buffers: '4MB' } } })
  await waitFor('nothing to wait for', { withinMs: 20_000 }, async () => !(await isPending(leader)))
})

test('none of the five maxima that a standby shares with its primary keeps it down: lowered and restarted in the wrong order it runs with the primary’s', async () => {
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await changeConfig(cluster, { postgresql: { parameters: MAXIMA } })
  for (const member of [standby, leader]) {
    await untilPending(member)
    assert.equal((await callRest(member, 'POST /restart', {})).code, 200)
  }
  await cluster.complete()
  assert.deepEqual([await maximaOf(leader), await maximaOf(standby)], [MAXIMA, MAXIMA])
  await changeConfig(cluster, { postgresql: { parameters: LOWER } })
  await untilPending(standby)
  assert.equal((await callRest(standby, 'POST /restart', {})).code, 200)
  await cluster.complete()
  assert.deepEqual(await maximaOf(standby), MAXIMA)
  await untilPending(standby)
  assert.equal((await callRest(leader, 'POST /restart', {})).code, 200)
  await cluster.complete()
  assert.equal((await callRest(standby, 'POST /restart', {})).code, 200)
  await cluster.complete()
  assert.deepEqual([await maximaOf(leader), await maximaOf(standby)], [LOWER, LOWER])
})

test('in a synchronous mode primary_stop_timeout cuts a stop short that a stuck backend holds up', async t => {
  await changeConfig(cluster, { synchronous_mode: true, primary_stop_timeout: 3 })
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  await waitFor('a synchronous standby', { withinMs: 30_000 }, async () =>
    (await keyText(cluster, 'sync')).includes(`"${standby.name}"`),
  )
  const stuck = new pg.Client({ ...leader.direct, connectionTimeoutMillis: 5_000 })
  stuck.on('error', () => {})
  await stuck.connect()
  t.after(() => stuck.end().catch(() => {}))
  const { rows } = await stuck.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  const pid = rows[0]?.pid ?? 0
  process.kill(pid, 'SIGSTOP')
  t.after(() => {
    try {
      process.kill(pid, 'SIGCONT')
    } catch {
      // It is gone, as it should be.
    }
  })
  const beganMs = performance.now()
  void callRest(leader, 'POST /switchover', { leader: leader.name, candidate: standby.name }).catch(() => {})
  await cluster.leader({ not: [leader], withinMs: 60_000 })
  const tookMs = Math.round(performance.now() - beganMs)
  t.diagnostic(`(${standby.name}) leads after ${tookMs} ms`)
  assert.ok(tookMs >= 3_000, 'it was given the time')
  await cluster.complete()
})
