// The storage of a data directory hangs, or is gone: a file system whose program is stopped or killed. Nobody waits for it
// for ever, the agent least of all.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { BindDisk } from '../support/disk-bind.ts'
import { ownWords, startOnDisks, untilTold } from '../support/disk-cluster.ts'
import { assertSafe, tellOutage, Witness } from './witness.ts'

const HUNG_AFTER_MS = 5_000
const { cluster, disk } = await startOnDisks({ after }, host => BindDisk.mount(host), {
  parameters: { synchronous_standby_names: 'ANY 1 (*)' },
  dcs: { pgherd: { short_ttl: true, hung_after: HUNG_AFTER_MS / 1000 } },
})
const HANGS = /storage of the data directory hangs/

/** The agent's turns go on and its REST server answers at once, however long its storage hangs. */
async function assertAgentLives(member: Member): Promise<number> {
  let worstMs = 0
  for (let look = 0; look < 20; look += 1) {
    const beganMs = performance.now()
    const { age_ms: ageMs } = await ownWords(member)
    worstMs = Math.max(worstMs, performance.now() - beganMs)
    assert.ok(typeof ageMs === 'number' && ageMs < 15_000, `the last look was ${ageMs} ms ago`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  assert.ok(worstMs < 2_500, `an answer took ${Math.round(worstMs)} ms`)
  return worstMs
}

test('a standby’s storage hangs: its agent says so, the leader goes on, and it catches up', async t => {
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  disk(standby).hang()
  await untilTold(standby, 'storage-trouble', HANGS, 60_000)
  const worstMs = await assertAgentLives(standby)
  t.diagnostic(`the slowest answer of its agent took ${Math.round(worstMs)} ms`)
  assert.match((await standby.rest('/metrics')).body, /^pgherd_agent_storage_unanswered_seconds [1-9]/m)
  assert.ok(Number((await ownWords(standby))['storage_unanswered_ms']) > HUNG_AFTER_MS)
  assert.equal(await cluster.leaderKey(), leader.name)
  disk(standby).answer()
  await untilTold(standby, 'storage-works', /takes writes again/)
  await cluster.complete()
})

test('a leader’s storage hangs and nobody can take over: it says so, keeps the lead, and serves again', async () => {
  const leader = await cluster.leader()
  const [standby] = await cluster.replicas()
  assert.ok(standby)
  disk(standby).hang()
  await waitFor('the standby to say so', { withinMs: 60_000 }, async () => {
    return (await ownWords(standby))['storage_unanswered_ms'] !== undefined
  })
  disk(leader).hang()
  await untilTold(leader, 'storage-trouble', HANGS, 60_000)
  await assertAgentLives(leader)
  await new Promise(resolve => setTimeout(resolve, HUNG_AFTER_MS))
  assert.equal(await cluster.leaderKey(), leader.name)
  disk(standby).answer()
  disk(leader).answer()
  await untilTold(leader, 'storage-works', /takes writes again/)
  await cluster.complete()
})

test('a leader’s storage hangs: another one leads, nothing acknowledged is lost, and it comes back', async t => {
  const witness = await Witness.start(cluster)
  // A load that is left behind would keep the process of the test alive.
  t.after(() => witness.finish(0).catch(() => {}))
  const old = await cluster.leader()
  const beganMs = performance.now()
  disk(old).hang()
  await cluster.leader({ not: [old] })
  t.diagnostic(`another one leads ${Math.round(performance.now() - beganMs)} ms after the storage hung`)
  await assertAgentLives(old)
  assert.match(
    await readFile(old.agent.logFile, 'utf8'),
    /giving the lead away: the (?:storage of the )?server hangs/,
  )
  disk(old).answer()
  await cluster.complete()
  await witness.writesAgain(performance.now())
  const report = await witness.finish(beganMs)
  // hung_after, a write each 5 s, the old lease, an election.
  tellOutage(t, report, HUNG_AFTER_MS + 15_000)
  assertSafe(report)
})

test('a leader’s storage is lost: another one leads, it says so, and comes back with the storage', async t => {
  const old = await cluster.leader()
  const beganMs = performance.now()
  await disk(old).lose()
  // Nothing but the server itself can tell the loss at once: it is made to.
  await old.query('SELECT pg_switch_wal()').catch(() => {})
  await cluster.leader({ not: [old] })
  t.diagnostic(`another one leads ${Math.round(performance.now() - beganMs)} ms after the storage was lost`)
  await waitFor('the reason', { withinMs: 30_000 }, async note => {
    const says = String((await ownWords(old))['says'])
    note(says)
    return /data directory .* cannot be read/.test(says)
  })
  await assertAgentLives(old)
  await disk(old).unmount()
  await disk(old).mountAgain()
  await cluster.complete()
})
