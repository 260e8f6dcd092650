// A postmaster that hangs: its sessions live on, also the one over which the agent asks, and nobody new gets in.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { signal } from '../../src/demo/proctable.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'

const HUNG_AFTER_MS = 5_000
const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 2, proxies: 0, dcs: { pgherd: { short_ttl: true, hung_after: 0 } } },
)

async function unanswered(member: Member): Promise<number> {
  const own = (await member.status())['pgherd'] as { readonly unanswered_ms?: number }
  return own.unanswered_ms ?? 0
}

async function untilHeard(member: Member, kind: string): Promise<void> {
  await waitFor(`the event ${kind} of ${member.name}`, { withinMs: 30_000 }, async note => {
    const { body } = await member.rest('/pgherd/events?count=20')
    note(body)
    return body.includes(`"${kind}"`)
  })
}

test('where nobody looks, a postmaster that hangs is not noticed', async () => {
  const leader = await cluster.leader()
  const pid = await leader.postmasterPid()
  signal(pid, 'SIGSTOP')
  await sleep(2 * HUNG_AFTER_MS)
  assert.equal((await cluster.leader()).name, leader.name)
  assert.equal(await unanswered(leader), 0)
  signal(pid, 'SIGCONT')
})

test('a leader whose postmaster hangs and who has no heir says so and goes on', async () => {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  await replica.agent.stop(20_000)
  await changeConfig(cluster, { pgherd: { hung_after: HUNG_AFTER_MS / 1000 } })
  await sleep(2_000)
  const pid = await leader.postmasterPid()
  signal(pid, 'SIGSTOP')
  await untilHeard(leader, 'server-hangs')
  assert.ok((await unanswered(leader)) >= HUNG_AFTER_MS)
  const metrics = (await leader.rest('/metrics')).body
  assert.match(metrics, /pgherd_agent_server_unanswered_seconds [1-9]/)
  assert.match(
    await readFile(leader.agent.logFile, 'utf8'),
    /the server hangs: it has answered no new connection/,
  )
  await sleep(3_000)
  assert.equal(await cluster.leaderKey(), leader.name)
  signal(pid, 'SIGCONT')
  await untilHeard(leader, 'server-answers')
  await replica.agent.start()
  await cluster.complete()
})

test('a leader whose postmaster hangs gives way to one who can take over, and comes back as a standby', async t => {
  const leader = await cluster.leader()
  const beganMs = performance.now()
  signal(await leader.postmasterPid(), 'SIGSTOP')
  const next = await cluster.leader({ not: [leader], withinMs: 60_000 })
  t.diagnostic(
    `(${next.name}) leads ${Math.round(performance.now() - beganMs)} ms after the postmaster was stopped`,
  )
  await cluster.complete()
})
