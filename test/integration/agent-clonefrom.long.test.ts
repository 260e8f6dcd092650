// A replica that offers itself for copies: new members take theirs from it while it streams, and from the leader when it is gone.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createCluster } from '../support/fixture.ts'

const { cluster } = await createCluster({ after }, { etcd: 1, members: 4, proxies: 0, dcs: { loop_wait: 1 } })
const [leader, source, third, fourth] = cluster.members
assert.ok(leader && source && third && fourth)
await source.configure({ tags: { clonefrom: true } })
await cluster.etcd.start()
await leader.agent.start()
await cluster.leader()
await source.agent.start()
await streams(source)
await leader.query('CREATE TABLE copied AS SELECT 1 AS id')

async function streams(member: Member): Promise<void> {
  await waitFor(`${member.name} to stream from the leader`, { withinMs: 60_000 }, async note => {
    const rows = await leader?.query<{ name: string }>(
      "SELECT application_name AS name FROM pg_stat_replication WHERE state = 'streaming'",
    )
    const names = rows?.map(({ name }) => name) ?? []
    note(names.join())
    return names.includes(member.name)
  })
}

/** Whom it says it copied. */
async function copiedFrom(member: Member): Promise<string | undefined> {
  const log = await readFile(member.agent.logFile, 'utf8')
  return /trying to bootstrap from (?:replica|leader) '([^']+)'/.exec(log)?.[1]
}

test('a new member copies the replica that offers itself, and follows the leader', async () => {
  // Its key tells that it streams since its latest turn.
  await waitFor('the source to say that it streams', { withinMs: 20_000 }, async note => {
    const { replication_state: state } = await source.status()
    note(String(state))
    return state === 'streaming'
  })
  await third.agent.start()
  await streams(third)
  assert.equal(await copiedFrom(third), source.name)
  const rows = await third.query<{ id: number }>('SELECT id FROM copied')
  assert.deepEqual(
    rows.map(({ id }) => id),
    [1],
  )
})

test('when that replica is gone the leader is copied', async () => {
  await source.agent.stop(30_000)
  await fourth.agent.start()
  await streams(fourth)
  assert.equal(await copiedFrom(fourth), leader.name)
})
