// A standby cluster that gets its WAL from an archive alone, and a replica that does.

import assert from 'node:assert/strict'
import { chown, mkdir } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { standbyLeader, twoSites, untilRow } from '../support/two-sites.ts'

let archive = ''
const { main, standby } = await twoSites(
  { after },
  { members: 2, dcs: { member_slots_ttl: 0 } },
  { members: 2 },
  ({ members: [first] }) => {
    archive = path.join(path.dirname(first?.host.path('x') ?? ''), '..', 'archive')
    return { restore_command: `cp ${archive}/%f %p`, create_replica_methods: ['fetch'] }
  },
)
const source = await main.leader()
const { account } = source.host
await mkdir(archive, { recursive: true })
await chown(archive, account.uid, account.gid)
await changeConfig(main, {
  postgresql: {
    parameters: {
      archive_mode: 'on',
      archive_command: `cp %p ${archive}/%f`,
      restore_command: `cp ${archive}/%f %p`,
    },
  },
})
const [replica] = await main.replicas()
const [far, farther] = standby.members
assert.ok(replica && far && farther)

test('archiving is switched on by a restart', async () => {
  await waitFor('the setting to wait for a restart', { withinMs: 20_000 }, async () => {
    const { body } = await source.rest('/patroni')
    return body.includes('"archive_mode"')
  })
  const answer = await source.rest('/restart', {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(60_000),
  })
  assert.equal(answer.code, 200, answer.body)
  await main.complete()
})

test('a nostream replica follows by the archive and has no slot', async () => {
  await replica.configure({ tags: { nostream: true } })
  await replica.agent.stop(30_000)
  await replica.agent.start()
  await waitFor('its slot to be gone', { withinMs: 30_000 }, async note => {
    const slots = await source.query('SELECT slot_name FROM pg_replication_slots')
    note(JSON.stringify(slots))
    return slots.length === 0
  })
  await source.query('CREATE TABLE by_archive AS SELECT 1 AS id')
  await source.query('SELECT pg_switch_wal()')
  await untilRow(replica, 'by_archive', 60_000)
  assert.equal((await replica.status())['replication_state'], 'in archive recovery')
})

test('a standby cluster is made by a method of its own and follows by the archive alone', async () => {
  for (const member of [far, farther]) {
    const { host, config } = source
    const copy = `${config.binDir}/pg_basebackup -h ${host.address} -p ${config.postgresPort} -U repl -w -X fetch -c fast`
    const fetch = { command: `${copy} -D ${member.dataDir}`, no_params: true, no_leader: true }
    await member.configure({ postgresql: { fetch } })
  }
  await far.agent.start()
  await standbyLeader(standby, 90_000, 'any')
  await farther.agent.start()
  await source.query('CREATE TABLE to_far AS SELECT 1 AS id')
  await source.query('SELECT pg_switch_wal()')
  await untilRow(far, 'to_far', 60_000)
  await untilRow(farther, 'to_far', 60_000)
  assert.equal((await farther.status())['replication_state'], 'streaming', 'from the standby leader')
})

test('when the main cluster is demoted its shutdown checkpoint reaches the other side through the archive', async t => {
  await source.query('CREATE TABLE last_word AS SELECT 1 AS id')
  const beganMs = performance.now()
  await changeConfig(main, {
    standby_cluster: { host: far.host.address, port: far.config.postgresPort },
  })
  await untilRow(far, 'last_word', 60_000)
  t.diagnostic(`the last row is there ${Math.round(performance.now() - beganMs)} ms after the order`)
  await waitFor('the demoted cluster to run', { withinMs: 60_000 }, async note => {
    const status = await source.status()
    note(JSON.stringify(status))
    return status.role === 'standby_leader' && status.state === 'running'
  })
  const [end] = await source.query<{ lsn: string }>('SELECT pg_last_wal_replay_lsn()::text AS lsn')
  await waitFor('everything to be replayed', { withinMs: 60_000 }, async note => {
    const [row] = await far.query<{ there: boolean; now: string }>(
      'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there, pg_last_wal_replay_lsn()::text AS now',
      [end?.lsn],
    )
    note(`${row?.now} of ${end?.lsn}`)
    return row?.there === true
  })
  await changeConfig(standby, { standby_cluster: null })
  const leader = await standby.leader()
  await leader.query('CREATE TABLE reversed AS SELECT 1 AS id')
  await untilRow(source, 'reversed', 60_000)
  assert.doesNotMatch((await source.rest('/pgherd/events?count=200')).body, /rewound|set-aside/)
})
