// 200 health checks a second at real members, from a process of their own, while PostgreSQL runs and while every process of
// it is stopped: an answer comes from memory and waits for nothing.

import assert from 'node:assert/strict'
import test, { after, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { type Check, describeTimes, percentile, timeChecks } from '../support/check-times.ts'
import { startCluster } from '../support/fixture.ts'
import { rawExchange } from '../support/raw-http.ts'

const { cluster } = await startCluster(
  { after },
  { etcd: 1, members: 2, proxies: 0, dcs: { ttl: 60, loop_wait: 1 } },
)

const P99_GOAL_MS = 5
const MARGIN = 5
/** Other work on this machine may take both its processors for a moment; what the agent does itself comes back each turn. */
const ROUNDS_MAX = 5
/** Of documents that read etcd, each of which asks again this long after its answer. */
const CALLERS = 300
const PAUSE_MS = 200
const PACE = { perSecond: 200, seconds: 4 }

/** A status line alone, and the document besides, of the same member. */
async function checkMember(
  t: TestContext,
  member: Member,
  target: string,
  what: string,
  others: readonly string[] = [],
): Promise<void> {
  for (const method of ['OPTIONS', 'GET'] as const)
    await checkByMethod(t, member, { method, target }, what, others)
}

/** Rounds until one keeps the goal with its margin; prints each. Codes other than 200 must be in `others`. */
async function checkByMethod(
  t: TestContext,
  member: Member,
  check: Check,
  what: string,
  others: readonly string[],
): Promise<void> {
  const pid = member.agent.pid
  assert.ok(pid !== undefined)
  const server = { address: member.host.address, port: member.config.restPort, pid }
  const lines: string[] = []
  for (let round = 1; round <= ROUNDS_MAX; round += 1) {
    const { member: times, nothing } = await timeChecks(server, check, PACE)
    const line = `${describeTimes(times)}; a server that does nothing: ${describeTimes(nothing)}`
    lines.push(line)
    t.diagnostic(
      `${what}, ${check.method} ${check.target}, round ${round}: ${times.tookMs.length} checks, ${line}`,
    )
    const strange = Object.keys(times.codes).filter(code => code !== '200' && !others.includes(code))
    assert.deepEqual(strange, [], JSON.stringify(times.codes))
    // What the machine does at this moment to a server without any other duty is no fault of the agent.
    const goalMs = Math.max(P99_GOAL_MS, percentile(nothing, 0.99))
    if (percentile(times, 0.99) < goalMs * MARGIN) return
  }
  assert.fail(`in no round p99 was below ${MARGIN} times the goal:\n${lines.join('\n')}`)
}

async function checkFrozen(t: TestContext, member: Member, target: string, others: readonly string[]) {
  await checkMember(t, member, target, 'PostgreSQL runs')
  await member.freezeServer()
  t.after(() => member.thawServer())
  await checkMember(t, member, target, 'PostgreSQL is stopped', others)
  const stopped = await member.serverProcesses()
  assert.ok(stopped.length > 3, `${stopped.length} processes`)
  await member.thawServer()
  await waitFor('the server to be seen again', { withinMs: 30_000 }, async () => {
    return (await member.status()).state === 'running'
  })
}

test('200 checks a second of a leader, also while every process of its PostgreSQL is stopped', async t => {
  await checkFrozen(t, await cluster.leader(), '/primary', [])
})

test('200 checks a second of a leader while etcd is silent and hundreds ask for what is read there', async t => {
  const leader = await cluster.leader()
  const [etcd] = cluster.etcd.members
  assert.ok(etcd)
  await etcd.server.freeze()
  let isOver = false
  const asks = async (target: string) => {
    while (!isOver) {
      await rawExchange(leader.host.address, leader.config.restPort, `GET ${target} HTTP/1.0\r\n\r\n`).catch(
        () => '',
      )
      await sleep(PAUSE_MS)
    }
  }
  const callers = Array.from({ length: CALLERS }, (_, n) => asks(n % 2 === 0 ? '/cluster' : '/config'))
  try {
    await checkByMethod(t, leader, { method: 'OPTIONS', target: '/primary' }, 'etcd is silent', [])
    const { body } = await leader.rest('/metrics')
    const open = Number(/^pgherd_api_connections (\d+)$/m.exec(body)?.[1])
    t.diagnostic(`${CALLERS} callers, ${open} connections`)
    assert.ok(open <= 500)
  } finally {
    isOver = true
    etcd.server.thaw()
  }
  await Promise.all(callers)
  assert.equal((await cluster.leader()).name, leader.name)
})

test('200 checks a second of a replica, also while every process of its PostgreSQL is stopped', async t => {
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  // Once the loop has asked in vain, the member is no replica to read from.
  await checkFrozen(t, replica, '/replica', ['503'])
})
