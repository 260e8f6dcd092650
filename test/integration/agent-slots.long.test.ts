// Slots on two real members: the cluster's own, those of members that left, and those that are somebody else's.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 2, proxies: 0, dcs: { member_slots_ttl: 3 }, parameters: { wal_level: 'logical' } },
)
const leader = await cluster.leader()
const [replica] = await cluster.replicas()
assert.ok(replica)

async function slotsOf(member: Member): Promise<readonly string[]> {
  const rows = await member.query<{ slot: string }>(
    `SELECT concat_ws(' ', slot_name, slot_type, database, plugin) AS slot FROM pg_replication_slots ORDER BY 1`,
  )
  return rows.map(row => row.slot)
}

async function untilSlots(member: Member, what: string, isTrue: (slots: readonly string[]) => boolean) {
  await waitFor(`${what} on ${member.name}`, { withinMs: 20_000 }, async note => {
    const slots = await slotsOf(member)
    note(slots.join(', '))
    return isTrue(slots)
  })
}

const has = (name: string) => (slots: readonly string[]) => slots.some(slot => slot.split(' ')[0] === name)

test('permanent slots are made, physical ones on every member, logical ones on the leader in their database', async () => {
  await leader.query('SELECT pg_create_physical_replication_slot($$theirs$$, true)')
  await leader.query('SELECT pg_create_physical_replication_slot($$nobodys$$, true)')
  await changeConfig(cluster, {
    slots: {
      backup: { type: 'physical' },
      cdc: { type: 'logical', database: 'postgres', plugin: 'pgoutput' },
    },
    ignore_slots: [{ name: 'theirs', type: 'physical' }],
  })
  const other = replica.name
  const wanted = ['backup physical', 'cdc logical postgres pgoutput', `${other} physical`, 'theirs physical']
  await untilSlots(leader, 'the slots that are wanted', slots => slots.join() === wanted.join())
  await untilSlots(replica, 'the permanent slot', has('backup'))
})

test('an idle permanent slot on a standby goes forward with that of the leader', async () => {
  const positionOn = async (member: Member) => {
    const [row] = await member.query<{ lsn: string }>(
      "SELECT restart_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'backup'",
    )
    return row?.lsn
  }
  await leader.query('CREATE TABLE moved AS SELECT generate_series(1, 1000) AS id')
  await leader.query("SELECT pg_replication_slot_advance('backup', pg_current_wal_lsn())")
  const ahead = await positionOn(leader)
  await waitFor('the same position', { withinMs: 15_000 }, async note => {
    const now = await positionOn(replica)
    note(`${now} of ${ahead}`)
    return now === ahead
  })
})

test('a member that left keeps its slot for member_slots_ttl, and then it holds back no WAL any more', async () => {
  const beganMs = performance.now()
  await replica.agent.stop(20_000)
  assert.ok(has(replica.name)(await slotsOf(leader)), 'it is not dropped at once')
  await untilSlots(leader, 'the slot to be gone', slots => !has(replica.name)(slots))
  assert.ok(performance.now() - beganMs > 2_500)
  await replica.agent.start()
  await untilSlots(leader, 'the slot to be back', has(replica.name))
})

test('a slot that is taken out of the configuration is dropped, a logical one stays for its owner to drop', async () => {
  await changeConfig(cluster, { slots: {} })
  await changeConfig(cluster, { slots: null, ignore_slots: null })
  await untilSlots(
    leader,
    'the physical ones to be gone',
    slots => !has('backup')(slots) && !has('theirs')(slots),
  )
  assert.ok(has('cdc')(await slotsOf(leader)))
})
