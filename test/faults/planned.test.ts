// What an operator does on purpose: a switchover, and a clean stop of the leader's agent.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { cancels, clientsOf, missingRows, switchOver, through } from '../support/driver-scene.ts'
import { startCluster } from '../support/fixture.ts'
import { runProgram } from '../support/run-program.ts'
import { connecting, newSeen } from './drain.ts'
import { assertSafe, tellOutage, Witness } from './witness.ts'

const SHOULD_TAKE_MS = 1_500

const { cluster, work } = await startCluster(
  { after },
  { etcd: 3, members: 3, proxies: 2, parameters: { synchronous_standby_names: 'ANY 1 (*)' } },
)

test('a switchover to a named candidate: nothing lost, the candidate leads', async t => {
  const old = await cluster.leader()
  const [candidate] = await cluster.replicas()
  assert.ok(candidate)
  const witness = await Witness.start(cluster)
  const beganMs = performance.now()
  const body = JSON.stringify({ leader: old.name, candidate: candidate.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(30_000) })
  assert.equal(answer.code, 200, answer.body)
  assert.equal((await cluster.leader({ not: [old] })).name, candidate.name)
  await witness.writesAgain(performance.now())
  await cluster.complete()
  const report = await witness.finish(beganMs)
  assertSafe(report)
  tellOutage(t, report, SHOULD_TAKE_MS)
})

test('a failover to a named candidate over REST, and one by ctl: each candidate leads, nothing is lost', async t => {
  const witness = await Witness.start(cluster)
  const beganMs = performance.now()
  const old = await cluster.leader()
  const [first] = await cluster.replicas()
  assert.ok(first)
  const answer = await old.rest('/failover', {
    method: 'POST',
    body: JSON.stringify({ candidate: first.name }),
    signal: AbortSignal.timeout(30_000),
  })
  assert.equal(answer.code, 200, answer.body)
  assert.match(answer.body, /Successfully failed over to|Failed over to/)
  assert.equal((await cluster.leader({ not: [old] })).name, first.name)
  await cluster.complete()
  const words = ['ctl', '-c', first.configFile, 'failover', cluster.scope, '--candidate', old.name, '--force']
  const ran = await runProgram([...work.program, ...words])
  assert.equal(ran.code, 0, ran.stderr)
  assert.match(ran.stdout, new RegExp(`Successfully failed over to "${old.name}"`), ran.stdout + ran.stderr)
  assert.equal((await cluster.leader({ not: [first] })).name, old.name)
  await witness.writesAgain(performance.now())
  await cluster.complete()
  const report = await witness.finish(beganMs)
  assertSafe(report)
  tellOutage(t, report, SHOULD_TAKE_MS)
})

test('the leader’s agent stopped cleanly: another leads at once and nothing is lost', async t => {
  const old = await cluster.leader()
  const witness = await Witness.start(cluster)
  const beganMs = performance.now()
  const exit = await old.agent.stop(30_000)
  assert.equal(exit.code, 0)
  await cluster.leader({ not: [old] })
  await witness.writesAgain(performance.now())
  await old.agent.start()
  await cluster.complete()
  const report = await witness.finish(beganMs)
  assertSafe(report)
  tellOutage(t, report, SHOULD_TAKE_MS)
})

test('a frozen proxy keeps a switchover for a second and is told; through the other one connects are held and none fails', async t => {
  const [proxy, frozen] = cluster.proxies
  assert.ok(proxy && frozen)
  const old = await cluster.leader()
  const seen = newSeen()
  const stopping = new AbortController()
  const again = function* () {
    for (;;) yield proxy.write
  }
  const load = connecting(again(), 20, seen, stopping.signal)
  await frozen.server.freeze()
  try {
    await waitFor('connects', { withinMs: 20_000 }, async () => seen.connects > 20)
    await switchOver(cluster)
    await cluster.leader({ not: [old] })
  } finally {
    frozen.server.thaw()
    stopping.abort()
    await load
  }
  await cluster.complete()
  const { body } = await old.rest('/pgherd/events?count=100')
  const told = /[^"]* did not answer within (\d+) ms that new sessions are held[^"]*/.exec(body)
  assert.ok(told !== null, body)
  t.diagnostic(
    `${told[0]}; ${seen.connects} connects through the other, ${seen.failedConnects.length} failed`,
  )
  assert.ok(Number(told[1]) < 5_000)
  assert.deepEqual(seen.failedConnects, [])
})

test('psql, psycopg2 and pg through the write port and a switchover: no row is missing, none is refused as read-only, each can cancel', async t => {
  const drivers = ['psql', 'psycopg2', 'pg'] as const
  const clients = drivers.flatMap(driver => clientsOf(cluster, driver, ['write port'], ['disable']))
  const run = await through(t, cluster, clients, () => switchOver(cluster))
  assert.deepEqual(await missingRows(cluster, run), [])
  await cancels(t, clients)
})
