// Logical slots of the cluster on real members: copied to standbys, moved on there, used after a switchover and a crash.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after, type TestContext } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { ItemWriter, OwnPosition, type Receiver, startReceiver } from './logical-rig.ts'

/** Two turns of one second, the leader's and the standby's, with the margin of five: a copy is never older than this. */
const COPY_AGE_MS = 10_000
/** Rows that are older than any copy may be: sending them again would be seen. */
const WRITTEN_BEFORE_MS = 2 * COPY_AGE_MS

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 2, proxies: 0, dcs: { synchronous_mode: true }, parameters: { wal_level: 'logical' } },
)
const LOGICAL = { type: 'logical', database: 'postgres', plugin: 'test_decoding' }

async function standby(): Promise<Member> {
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  return replica
}

async function stateOn(member: Member, slot: string): Promise<string | undefined> {
  const own = (await member.status())['pgherd'] as { readonly logical_slots?: Record<string, string> }
  return own.logical_slots?.[slot]
}

async function untilState(member: Member, slot: string, want: string): Promise<void> {
  await waitFor(`${slot} to be ${want} on ${member.name}`, { withinMs: 60_000 }, async note => {
    const now = await stateOn(member, slot)
    note(String(now))
    return now === want
  })
}

async function logOf(member: Member): Promise<string> {
  return readFile(member.agent.logFile, 'utf8')
}

await (await cluster.leader()).query('CREATE TABLE items (id int PRIMARY KEY)')

test('a standby gets copies of the logical slots in one restart and proves that nothing can be missing', async t => {
  const replica = await standby()
  const before = await replica.postmasterPid()
  const beganMs = performance.now()
  await changeConfig(cluster, { slots: { cdc: LOGICAL, own: LOGICAL } })
  await untilState(replica, 'cdc', 'ready')
  await untilState(replica, 'own', 'ready')
  t.diagnostic(`ready after ${Math.round(performance.now() - beganMs)} ms`)
  assert.notEqual(await replica.postmasterPid(), before)
  const restarts = (await logOf(replica)).match(/restarting to take over logical slots/g)
  assert.equal(restarts?.length, 1)
  assert.match((await replica.rest('/metrics')).body, /pgherd_agent_logical_slot_ready\{slot="cdc"\} 1/)
})

/** Orders it until the candidate is one that commits wait for. */
async function switchOver(leader: Member, candidate: Member): Promise<void> {
  const body = JSON.stringify({ leader: leader.name, candidate: candidate.name })
  await waitFor(`(${candidate.name}) to take over`, { withinMs: 90_000 }, async note => {
    const signal = AbortSignal.timeout(30_000)
    const answer = await leader.rest('/switchover', { method: 'POST', body, signal })
    note(`${answer.code} ${answer.body}`)
    return answer.code === 200
  })
}

/** Runs both consumers and the writer, lets `fail` end the leader's leadership, and compares what arrived. */
async function consumeAcross(t: TestContext, fail: (leader: Member) => Promise<void>): Promise<void> {
  const leader = await cluster.leader()
  await leader.query('TRUNCATE items')
  const receiver = await startReceiver(cluster, 'cdc')
  const consumer = new OwnPosition(cluster, 'own')
  const writer = new ItemWriter(cluster)
  const beganMs = performance.now()
  await waitFor(
    'rows that are older than a copy may be',
    { withinMs: 60_000 },
    async () => (await receiver.ids()).length > 60 && performance.now() - beganMs > WRITTEN_BEFORE_MS,
  )
  const failedMs = performance.now()
  const [oldest = failedMs] = writer.acknowledged.values()
  assert.ok(failedMs - oldest > COPY_AGE_MS, 'some could be sent again that must not be')
  await fail(leader)
  const next = await cluster.leader({ not: [leader] })
  t.diagnostic(`(${next.name}) leads after ${Math.round(performance.now() - failedMs)} ms`)
  const already = writer.acknowledged.size
  await waitFor('more rows', { withinMs: 60_000 }, () => writer.acknowledged.size > already + 60)
  await writer.stop()
  const wanted = [...writer.acknowledged.keys()]
  await waitFor('all rows to arrive', { withinMs: 60_000 }, async note => {
    const [got, own] = [new Set(await receiver.ids()), new Set(consumer.ids)]
    const [lost, ownLost] = [wanted.filter(id => !got.has(id)), wanted.filter(id => !own.has(id))]
    note(`${lost.length} and ${ownLost.length} of ${wanted.length} missing: ${lost.slice(0, 5).join()}`)
    return lost.length + ownLost.length === 0
  })
  await consumer.stop()
  await receiver.server.stop(10_000)
  assert.equal(
    new Set(consumer.ids).size,
    consumer.ids.length,
    'the consumer with its own position repeats nothing',
  )
  assert.deepEqual(
    consumer.ids,
    consumer.ids.toSorted((one, other) => one - other),
    'they arrive in the order of their commits',
  )
  t.diagnostic(`the consumer with its own position passed over ${consumer.passedOver} rows`)
  t.diagnostic(await repeatedOf(receiver, writer, failedMs))
}

/** A consumer that leaves its position to the slot is sent again what the copy did not know yet: no more than that. */
async function repeatedOf(receiver: Receiver, writer: ItemWriter, failedMs: number): Promise<string> {
  const seen = new Set<number>()
  const repeated = new Set<number>()
  for (const id of await receiver.ids()) {
    if (seen.has(id)) repeated.add(id)
    seen.add(id)
  }
  const ages = [...repeated].map(id => failedMs - (writer.acknowledged.get(id) ?? failedMs))
  const oldestMs = Math.round(Math.max(0, ...ages))
  assert.ok(oldestMs < COPY_AGE_MS, `a row of ${oldestMs} ms before was sent again`)
  return `pg_recvlogical was sent ${repeated.size} of ${seen.size} rows again, the oldest ${oldestMs} ms old`
}

test('across a switchover a logical consumer loses nothing, and repeats nothing when it keeps its position', async t => {
  const candidate = await standby()
  await consumeAcross(t, leader => switchOver(leader, candidate))
  // The old leader's own slots are the copies now: they need no restart.
  await untilState(await standby(), 'cdc', 'ready')
})

test('across a crash of the leader a logical consumer loses nothing, and repeats nothing when it keeps its position', async t => {
  await cluster.complete()
  await untilState(await standby(), 'own', 'ready')
  await consumeAcross(t, leader => leader.host.kill())
  const dead = cluster.members.find(member => !member.agent.isRunning)
  await dead?.agent.start()
  await cluster.complete()
  await untilState(await standby(), 'cdc', 'ready')
})

test('a copy follows its consumer on the leader', async () => {
  const [leader, replica] = [await cluster.leader(), await standby()]
  await leader.query('INSERT INTO items SELECT generate_series(1000000, 1001000)')
  await leader.query("SELECT pg_replication_slot_advance('own', pg_current_wal_lsn())")
  const positionOn = async (member: Member) =>
    (
      await member.query<{ lsn: string }>(
        "SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'own'",
      )
    )[0]?.lsn
  const ahead = await positionOn(leader)
  await waitFor('the same position', { withinMs: 20_000 }, async note => {
    const now = await positionOn(replica)
    note(`${now} of ${ahead}`)
    return now === ahead
  })
})

test('a slot that nobody could copy is told before and after the promotion that makes it empty', async () => {
  const replica = await standby()
  await replica.query('ALTER SYSTEM SET hot_standby_feedback = off')
  await replica.query('SELECT pg_reload_conf()')
  await changeConfig(cluster, { slots: { cdc: LOGICAL, own: LOGICAL, late: LOGICAL } })
  await waitFor('the reason', { withinMs: 30_000 }, async () =>
    /logical slot late is not copied: hot_standby_feedback is off here/.test(await logOf(replica)),
  )
  assert.equal(await stateOn(replica, 'late'), 'missing')
  const leader = await cluster.leader()
  await switchOver(leader, replica)
  await cluster.leader({ not: [leader] })
  await waitFor('the event', { withinMs: 20_000 }, async () => {
    const { body: events } = await replica.rest('/pgherd/events?count=50')
    return /logical slot late was not carried over/.test(events)
  })
  await replica.query('ALTER SYSTEM RESET hot_standby_feedback')
  await replica.query('SELECT pg_reload_conf()')
})

test('a copy that the configuration names no more goes, the slot on the leader stays for its owner', async () => {
  await cluster.complete()
  const [leader, replica] = [await cluster.leader(), await standby()]
  await untilState(replica, 'cdc', 'ready')
  await changeConfig(cluster, { slots: { cdc: null } })
  await changeConfig(cluster, { slots: null })
  const slots = async (member: Member) =>
    (
      await member.query<{ name: string }>(
        "SELECT slot_name AS name FROM pg_replication_slots WHERE slot_type = 'logical'",
      )
    ).map(row => row.name)
  await waitFor('the copies to be gone', { withinMs: 20_000 }, async note => {
    const left = await slots(replica)
    note(left.join())
    return left.length === 0
  })
  assert.ok((await slots(leader)).includes('cdc'))
})
