// Real Patroni members in a standby cluster beside ours: each leads it in turn, the other one cascades from it.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { standbyLeader, twoSites, untilRow } from '../support/two-sites.ts'

// Patroni's floor for ttl is 20.
const times = { ttl: 20, loop_wait: 2, retry_timeout: 3, pgherd: null }
const { main, standby } = await twoSites(
  { after },
  { members: ['patroni'], dcs: { ...times, slots: { far: { type: 'physical' } } } },
  { members: ['pgherd', 'patroni'], dcs: times },
  ({ members: [only] }) => ({
    host: only?.host.address,
    port: only?.config.postgresPort,
    primary_slot_name: 'far',
  }),
)
const [source] = main.members
const [ours, theirs] = standby.members
assert.ok(source && ours && theirs)
let made = 0

async function rowTo(...members: readonly Member[]): Promise<void> {
  made += 1
  await source?.query(`CREATE TABLE row_${made} AS SELECT ${made} AS id`)
  for (const member of members) await untilRow(member, `row_${made}`, 60_000)
}

async function switchOver(from: Member, to: Member): Promise<void> {
  const body = JSON.stringify({ leader: from.name, candidate: to.name })
  const answer = await from.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(90_000) })
  assert.equal(answer.code, 200, `${from.keeper} -> ${to.keeper}: ${answer.body}`)
  await waitFor('the key to move', { withinMs: 60_000 }, async () => (await standby.leaderKey()) === to.name)
}

test('ours makes a standby cluster of a Patroni cluster, a Patroni member cascades from it', async () => {
  await ours.agent.start()
  assert.equal(await standbyLeader(standby), ours)
  await theirs.agent.start()
  await waitFor('Patroni to run', { withinMs: 90_000 }, async note => {
    const status = await theirs.status()
    note(JSON.stringify(status))
    return status.role === 'replica' && status.state === 'running'
  })
  await rowTo(ours, theirs)
})

test('a Patroni member takes the standby lead over and gives it back', async () => {
  await switchOver(ours, theirs)
  await waitFor('ours to cascade from it', { withinMs: 60_000 }, async note => {
    const status = await ours.status()
    note(JSON.stringify(status))
    return status.role === 'replica' && status['replication_state'] === 'streaming'
  })
  await rowTo(ours, theirs)
  const codes = [await theirs.rest('/standby-leader'), await ours.rest('/standby-leader')].map(
    ({ code }) => code,
  )
  assert.deepEqual(codes, [200, 503])
  await switchOver(theirs, ours)
  assert.equal(await standbyLeader(standby), ours)
  await rowTo(ours, theirs)
})

test('the section is taken away: ours is promoted, and Patroni follows on the new timeline', async () => {
  await changeConfig(standby, { standby_cluster: null })
  const leader = await standby.leader({ withinMs: 90_000 })
  assert.equal(leader, ours)
  await leader.query('CREATE TABLE own AS SELECT 1 AS id')
  await untilRow(theirs, 'own', 90_000)
  assert.equal((await leader.status()).timeline, 2)
})
