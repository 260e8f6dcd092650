// One scope, two real Patroni members and one of ours: each leads in turn, the others follow.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { keyText } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

// Patroni's floor for ttl is 20; synchronous, so that each side reads the other's sync key.
const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: ['pgherd', 'patroni', 'patroni'],
    proxies: 0,
    dcs: {
      ttl: 20,
      loop_wait: 2,
      retry_timeout: 3,
      synchronous_mode: true,
      synchronous_node_count: 2,
      pgherd: null,
    },
  },
)

async function switchOver(to: Member): Promise<void> {
  const old = await cluster.leader()
  const body = JSON.stringify({ leader: old.name, candidate: to.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(60_000) })
  assert.equal(answer.code, 200, `${old.keeper} ${old.name} -> ${to.keeper} ${to.name}: ${answer.body}`)
}

async function untilBothNamed(): Promise<string> {
  return waitFor('both others to be synchronous standbys', { withinMs: 60_000 }, async note => {
    const text = await keyText(cluster, 'sync')
    note(text)
    return text !== '' && (JSON.parse(text).sync_standby ?? '').split(',').length === 2 ? text : undefined
  })
}

/** Is every switch up to `timeline` told in order: from where, why, when, and to whom, as far as we saw who it was? */
function isHistoryOf(text: string, timeline: number, ledOn: ReadonlyMap<number, string>): boolean {
  const told: unknown = JSON.parse(text === '' ? '[]' : text)
  assert.ok(Array.isArray(told), text)
  if (told.length !== timeline - 1) return false
  let endedAt = 0
  for (const [index, line] of told.entries()) {
    assert.ok(Array.isArray(line), text)
    // The name is written after the line itself: until then the history is not complete.
    if (line.length === 4) return false
    const [from, lsn, reason, at, leader] = line as readonly unknown[]
    assert.equal(from, index + 1, text)
    assert.ok(typeof lsn === 'number' && lsn > endedAt, text)
    assert.equal(reason, 'no recovery target specified')
    assert.ok(!Number.isNaN(Date.parse(String(at))), text)
    assert.equal(leader, ledOn.get(index + 2) ?? leader, text)
    endedAt = lsn
  }
  return true
}

test('two Patroni members and one of ours in a scope: each leads in turn, the others follow, slots and history are right', async t => {
  const led = new Set<string>()
  const ledOn = new Map<number, string>()
  for (;;) {
    const leader = await cluster.leader({ withinMs: 60_000 })
    await cluster.complete(60_000)
    led.add(leader.name)
    const others = cluster.members.filter(member => member !== leader)
    await waitFor('a slot for each of the others', { withinMs: 30_000 }, async note => {
      const rows = await leader.query<{ name: string }>(
        "SELECT slot_name AS name FROM pg_replication_slots WHERE slot_type = 'physical' AND active ORDER BY 1",
      )
      note(JSON.stringify(rows))
      return rows.map(({ name }) => name).join() === others.map(({ name }) => name).join()
    })
    const { timeline = 0 } = await leader.status()
    ledOn.set(timeline, leader.name)
    await waitFor('the history to be of this timeline', { withinMs: 30_000 }, async note => {
      const text = await keyText(cluster, 'history')
      note(text)
      return isHistoryOf(text, timeline, ledOn)
    })
    const sync = await untilBothNamed()
    t.diagnostic(`${leader.keeper} ${leader.name} leads on timeline ${timeline}; sync ${sync}`)
    const next = others.find(({ name }) => !led.has(name))
    if (next === undefined) break
    await switchOver(next)
  }
  assert.equal(led.size, 3)
})

/** Where the slots stand by which nobody streams from this member. */
function idleSlots(member: Member): Promise<readonly { readonly name: string; readonly isPast: boolean }[]> {
  return member.query(
    `SELECT slot_name AS name, restart_lsn > '${mark}' AS "isPast" FROM pg_replication_slots
     WHERE slot_type = 'physical' AND NOT active ORDER BY 1`,
  )
}
let mark = '0/0'

test('under a Patroni leader the slots on ours for the others move on, and keep no WAL', async t => {
  const ours = cluster.members.find(({ keeper }) => keeper === 'pgherd')
  const [theirs] = cluster.members.filter(({ keeper }) => keeper === 'patroni')
  assert.ok(ours && theirs)
  if ((await cluster.leader()).keeper === 'pgherd') await switchOver(theirs)
  const leader = await cluster.leader({ withinMs: 60_000 })
  assert.equal(leader.keeper, 'patroni')
  await cluster.complete(60_000)
  await leader.query('CREATE TABLE IF NOT EXISTS filler (id int)')
  for (let file = 0; file < 3; file += 1) {
    await leader.query('INSERT INTO filler SELECT generate_series(1, 10000)')
    await leader.query('SELECT pg_switch_wal()')
  }
  const [end] = await leader.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
  mark = end?.lsn ?? mark
  await leader.query('INSERT INTO filler VALUES (1)')
  await waitFor('the idle slots to be past what was written', { withinMs: 60_000 }, async note => {
    const slots = await idleSlots(ours)
    note(JSON.stringify(slots))
    return slots.length === 2 && slots.every(({ isPast }) => isPast)
  })
  t.diagnostic(`all idle slots on ${ours.name} are past ${mark}`)
})
