// A leader that comes back with commits that nobody else has, on real members: what happens where pg_rewind cannot help.

import assert from 'node:assert/strict'
import { access, readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { signal } from '../../src/demo/proctable.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 2,
    proxies: 0,
    parameters: { wal_log_hints: 'off' },
    overrides: {
      bootstrap: { initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, { 'data-checksums': false }] },
    },
  },
)
await (await cluster.leader()).query('CREATE TABLE story (line text)')

async function receiverOf(member: Member): Promise<number> {
  const [row] = await member.query<{ pid: number }>('SELECT pid FROM pg_stat_wal_receiver')
  assert.ok(row)
  return row.pid
}

/** The leader commits what its standby never gets, and loses its power; the standby leads. */
async function lose(line: string): Promise<{ readonly old: Member; readonly leader: Member }> {
  await cluster.complete()
  const old = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  const receiver = await receiverOf(standby)
  signal(receiver, 'SIGSTOP')
  await old.query('INSERT INTO story VALUES ($1)', [line])
  await old.host.kill()
  signal(receiver, 'SIGKILL')
  const leader = await cluster.leader({ not: [old] })
  return { old, leader }
}

async function untilSaid(member: Member, rule: string): Promise<string> {
  return await waitFor(`${member.name} to say ${rule}`, { withinMs: 60_000 }, async note => {
    const own = (await member.status())['pgherd'] as { readonly rule: string; readonly says: string }
    note(`${own.rule}: ${own.says}`)
    return own.rule === rule ? own.says : undefined
  })
}

async function untilCopied(member: Member): Promise<void> {
  await waitFor(`${member.name} to stream again`, { withinMs: 60_000 }, async note => {
    const status = await member.status()
    note(JSON.stringify(status))
    return status['replication_state'] === 'streaming'
  })
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

test('without checksums and wal_log_hints a diverged server says that pg_rewind cannot work, and tries nothing', async () => {
  const { old } = await lose('nobody else has it')
  await old.agent.start()
  assert.match(await untilSaid(old, 'diverged'), /neither checksums nor wal_log_hints.*needs reinitialize/)
  await sleep(5_000)
  const log = await readFile(old.agent.logFile, 'utf8')
  assert.doesNotMatch(log, /running pg_rewind/)
  assert.match(log, /WARNING: my history parts from/)
})

test('with remove_data_directory_on_diverged_timelines it sets its data aside and copies the leader anew', async () => {
  const leader = await cluster.leader()
  const [diverged] = cluster.members.filter(member => member !== leader)
  assert.ok(diverged)
  await changeConfig(cluster, { postgresql: { remove_data_directory_on_diverged_timelines: true } })
  await untilCopied(diverged)
  assert.ok(await exists(`${diverged.dataDir}.failed/PG_VERSION`), 'what was there is kept')
  const rows = await diverged.query<{ line: string }>('SELECT line FROM story')
  assert.deepEqual(rows, [])
})

test('with remove_data_directory_on_rewind_failure it does so after pg_rewind failed once', async () => {
  await changeConfig(cluster, {
    postgresql: {
      remove_data_directory_on_diverged_timelines: false,
      remove_data_directory_on_rewind_failure: true,
      parameters: { wal_log_hints: 'on' },
    },
  })
  for (const member of cluster.members) {
    // The setting counts from the next start on.
    await waitFor(
      'a pending restart',
      { withinMs: 20_000 },
      async () => (await member.status())['pending_restart'],
    )
    await member.rest('/restart', { method: 'POST', body: '{}', signal: AbortSignal.timeout(60_000) })
  }
  const next = await cluster.leader()
  await next.configure({ postgresql: { rewind: ['no-such-option'] } })
  await next.rest('/reload', { method: 'POST' })
  const { old } = await lose('nor this')
  await old.agent.start()
  await untilCopied(old)
  const log = await readFile(old.agent.logFile, 'utf8')
  assert.equal(log.match(/pg_rewind from .* failed/g)?.length, 1)
  assert.match(log, /setting the data directory aside to copy anew/)
  assert.ok(await exists(`${old.dataDir}.failed/PG_VERSION`), 'what was there is kept')
})
