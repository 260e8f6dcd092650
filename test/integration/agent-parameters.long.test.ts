// Parameters on two real members: those of a role follow the role, and a primary that comes back with larger values takes its
// standby with it.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
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
        parameters: { work_mem: '5MB' },
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
