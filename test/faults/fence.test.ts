// A leader whose etcd falls silent stops serving by its own clock, before etcd can give the key to anybody else. Measured
// on the server's own port, against the renewals that etcd itself has counted.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Prober } from '../../src/demo/prober.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'
import { Renewals } from './renewals.ts'

const TTL_MS = 5_000

const { cluster } = await startCluster({ after }, { etcd: 1, members: 1, proxies: 0 })
const pg1 = cluster.member('pg1')
const [etcd1] = cluster.etcd.members
assert.ok(etcd1)

test('etcd frozen: the last commit is acknowledged before the lease can end, and writing comes back after the thaw', async t => {
  const prober = await Prober.start(pg1, [pg1], 20)
  const renewals = new Renewals(etcd1)
  await sleep(2_500)
  await etcd1.server.freeze()
  const frozenMs = performance.now()
  const leaseEndMs = renewals.latestMs + TTL_MS
  await sleep(leaseEndMs - frozenMs + 1_500)
  const last = prober.records.at(-1)
  assert.ok(last && last.atMs > frozenMs, 'the leader serves on while its lease is safe')
  assert.ok(
    last.atMs < leaseEndMs,
    `a commit was acknowledged ${last.atMs - leaseEndMs} ms after the lease's end`,
  )
  t.diagnostic(
    `served ${seconds(last.atMs - frozenMs)} after the freeze, stopped ${seconds(leaseEndMs - last.atMs)} before the lease's end`,
  )
  etcd1.server.thaw()
  const thawedMs = performance.now()
  const next = await waitFor('a commit after the thaw', { withinMs: 30_000 }, () =>
    prober.records.find(record => record.atMs > thawedMs),
  )
  assert.equal(next.timeline, last.timeline + 1)
  t.diagnostic(`writing again ${seconds(next.atMs - thawedMs)} after the thaw, on timeline ${next.timeline}`)
  await renewals.stop()
  await prober.stop()
})

/** When the agent's log says that no process is left, on our clock; infinite when it does not say so after `sinceMs`. */
async function fencedAtMs(sinceMs: number): Promise<number> {
  const log = await readFile(pg1.agent.logFile, 'utf8')
  const stamps = [...log.matchAll(/^(\S+) (\S+),(\d+) INFO: fence: no process of the server is left/gm)]
  const times = stamps.map(
    ([, day, time, ms]) => Date.parse(`${day}T${time}.${ms}Z`) - performance.timeOrigin,
  )
  return times.find(atMs => atMs > sinceMs) ?? Number.POSITIVE_INFINITY
}

test('etcd frozen and the server hanging: no process of it is left when the lease ends', async t => {
  await cluster.leader()
  const renewals = new Renewals(etcd1)
  t.after(() => {
    if (etcd1.server.isRunning) etcd1.server.thaw()
  })
  await sleep(2_500)
  const beganMs = performance.now()
  await pg1.freezeServer()
  await etcd1.server.freeze()
  const leaseEndMs = renewals.latestMs + TTL_MS
  const seenGoneMs = await waitFor('the end of every process', { withinMs: 2 * TTL_MS }, async note => {
    const pids = await pg1.serverProcesses()
    note(`${pids.length} processes`)
    return pids.length === 0 ? performance.now() : undefined
  })
  // That nothing is left is what we see; since when, the agent's log tells better than our looks on a busy machine.
  const goneMs = Math.min(seenGoneMs, await fencedAtMs(beganMs))
  assert.ok(goneMs < leaseEndMs, `the last process ended ${goneMs - leaseEndMs} ms after the lease's end`)
  t.diagnostic(`the last process was gone ${seconds(leaseEndMs - goneMs)} before the lease's end`)
  etcd1.server.thaw()
  await renewals.stop()
  await cluster.leader()
})

test('an agent started while etcd is away ends the primary that nobody kept, and leads again when etcd is back', async t => {
  await cluster.leader()
  await pg1.agent.kill()
  await etcd1.server.freeze()
  const startedMs = performance.now()
  await pg1.agent.start()
  const goneMs = await waitFor('the end of the server', { withinMs: 30_000, everyMs: 50 }, async note => {
    const pids = await pg1.serverProcesses()
    note(`${pids.length} processes`)
    return pids.length === 0 ? performance.now() : undefined
  })
  t.diagnostic(`the server was gone ${seconds(goneMs - startedMs)} after the agent's start`)
  etcd1.server.thaw()
  await cluster.leader({ withinMs: 60_000 })
})

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
