// A replica that follows another replica, on real servers: through the loss of the one between, and back. Slots at each stage.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createCluster } from '../support/fixture.ts'

// Nothing is kept for members that left: each slot is where it is needed and nowhere else.
const { cluster } = await createCluster(
  { after },
  { etcd: 1, members: 3, proxies: 0, dcs: { member_slots_ttl: 0, loop_wait: 1 } },
)
const [first, middle, last] = cluster.members
assert.ok(first && middle && last)
// It stays where it is, whoever leads.
await middle.configure({ tags: { nofailover: true } })
await last.configure({ tags: { replicatefrom: middle.name, nofailover: true } })
await cluster.etcd.start()
await first.agent.start()
await cluster.leader()
await Promise.all([middle, last].map(member => member.agent.start()))

async function activeSlots(member: Member): Promise<string> {
  const rows = await member.query<{ name: string }>(
    'SELECT slot_name AS name FROM pg_replication_slots WHERE active ORDER BY 1',
  )
  return rows.map(({ name }) => name).join()
}

async function allSlots(member: Member): Promise<string> {
  const rows = await member.query<{ name: string }>(
    'SELECT slot_name AS name FROM pg_replication_slots ORDER BY 1',
  )
  return rows.map(({ name }) => name).join()
}

async function untilFollows(upstream: Member, withinMs: number): Promise<number> {
  const beganMs = performance.now()
  await waitFor(`${last?.name} to stream from ${upstream.name}`, { withinMs, everyMs: 100 }, async note => {
    const active = await activeSlots(upstream)
    note(`streaming from it: ${active}`)
    return active.split(',').includes(last?.name ?? '')
  })
  return performance.now() - beganMs
}

async function untilSlots(member: Member, wanted: string): Promise<void> {
  await waitFor(`the slots of ${member.name} to be ${wanted || 'none'}`, { withinMs: 20_000 }, async note => {
    const slots = await allSlots(member)
    note(slots)
    return slots === wanted
  })
}

test('a cascading replica follows the member that it names, goes to the leader when that is gone, and comes back', async t => {
  await untilFollows(middle, 30_000)
  await untilSlots(first, middle.name)
  await untilSlots(middle, last.name)
  await untilSlots(last, '')
  const says = new RegExp(`following a leader \\(${first.name}\\) through \\(${middle.name}\\)`)
  await waitFor('the member to say whom it follows', { withinMs: 30_000 }, async note => {
    const { body } = await last.rest('/patroni')
    note(body)
    return says.test(body)
  })

  await middle.agent.kill()
  await middle.killServer()
  const tookMs = await untilFollows(first, 20_000)
  t.diagnostic(
    `follows the leader ${Math.round(tookMs)} ms after the member between was killed; loop_wait 1 s`,
  )
  assert.ok(tookMs < 5 * 2_000, `${tookMs} ms`)
  await untilSlots(first, [last.name, middle.name].sort().join())
  await untilSlots(last, '')

  await middle.agent.start()
  const backMs = await untilFollows(middle, 45_000)
  t.diagnostic(`follows it again ${Math.round(backMs)} ms after its start`)
  await untilSlots(first, middle.name)
  await untilSlots(middle, last.name)
  await untilSlots(last, '')
  await first.query('CREATE TABLE through AS SELECT 1 AS id')
  await waitFor('the row at the end of the chain', { withinMs: 10_000 }, async () => {
    const rows = await last.query("SELECT 1 FROM pg_class WHERE relname = 'through'")
    return rows.length === 1
  })
})
