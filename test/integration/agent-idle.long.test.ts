// What an agent costs etcd while nothing happens, counted on the way: HTTP shows each request by name. Then the way is slow.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Relay } from '../contract/dcs-relay.ts'
import { createCluster } from '../support/fixture.ts'

/** 10 s on an idle machine. */
const QUIET_TURNS = 8
const QUIET_WITHIN_MS = 60_000
const PERIOD_MS = 5_000 / 6
const WATCH_SILENCE_MS = 2_000
const SLOW_MS = 12_000

const { cluster, work } = await createCluster({ after }, { etcd: 1, members: 2, proxies: 0 })
const [etcd1] = cluster.etcd.members
assert.ok(etcd1)
/** One way for each member, so that each is counted alone. */
const ways = new Map<Member, { readonly relay: Relay; readonly counted: Map<string, number> }>()
for (const member of cluster.members) {
  const relay = await Relay.to(etcd1.host.address, etcd1.clientPort)
  work.defer(() => relay.close())
  ways.set(member, { relay, counted: new Map() })
  await member.configure({ etcd3: { hosts: [relay.endpoint], transport: 'http' } })
}
await cluster.start()

/** Turns since the agent's start. */
async function turnsOf(member: Member): Promise<number> {
  const { body } = await member.rest('/metrics')
  const counts = [...body.matchAll(/^pgherd_agent_turn_seconds_count\{[^}]*\} (\d+)/gm)]
  return counts.reduce((sum, [, count]) => sum + Number(count), 0)
}

test('an idle agent costs etcd one keepalive a period and one read a turn, as leader and as replica', async t => {
  await cluster.complete()
  await sleep(3_000)
  for (const { relay, counted } of ways.values()) {
    const count = (what: string) => counted.set(what, (counted.get(what) ?? 0) + 1)
    relay.tap(chunk => {
      const text = chunk.toString('latin1')
      for (const [, path = ''] of text.matchAll(/POST \/v3(?:beta)?\/(\S+) HTTP/g)) count(path)
      // A read of the scope; without a range end it is the sign of life of a quiet watch, from the member's own copy.
      for (const _ of text.matchAll(/"range_end"/g)) count('whole scope')
    })
  }
  const quiet = await Promise.all([...ways].map(([member, { counted }]) => watchQuiet(member, counted)))
  for (const [index, { quietMs, leastTurns, mostTurns, of }] of quiet.entries()) {
    const member = cluster.members[index]
    const periods = quietMs / PERIOD_MS
    const reads = of('whole scope')
    t.diagnostic(
      `${member?.name} (${(await member?.status())?.role}): ${leastTurns} to ${mostTurns} turns in ${periods.toFixed(1)} periods: ` +
        `${reads} reads, ${of('lease/keepalive')} keepalives, ${of('kv/range') - reads} signs of life, ${of('kv/txn')} writes`,
    )
    assert.ok(reads >= leastTurns - 1 && reads <= mostTurns + 1, `${reads} reads: one a turn`)
    const signs = of('kv/range') - reads
    assert.ok(
      signs <= quietMs / WATCH_SILENCE_MS + 2,
      `${signs} signs of life, which gRPC has without a read`,
    )
    assert.ok(of('lease/keepalive') > 0 && of('lease/keepalive') <= periods + 2, 'one keepalive a period')
    assert.ok(of('kv/txn') <= mostTurns + 1, 'at most one write a turn: what it publishes of itself')
  }
})

/**
 * Waits some turns and resolves to how often each call was made meanwhile. What was counted lies between two looks at the
 * turns on each side, so its bounds hold however long a look takes. A turn counts at its end, its read before.
 */
async function watchQuiet(member: Member, counted: ReadonlyMap<string, number>) {
  const startedMs = performance.now()
  const before = await turnsOf(member)
  const begun = new Map(counted)
  const begunTurns = await turnsOf(member)
  const endedTurns = await waitFor(`${QUIET_TURNS} turns`, { withinMs: QUIET_WITHIN_MS }, async note => {
    const turns = await turnsOf(member)
    note(`${turns - begunTurns} turns`)
    return turns - begunTurns >= QUIET_TURNS ? turns : undefined
  })
  const ended = new Map(counted)
  const quietMs = performance.now() - startedMs
  return {
    quietMs,
    leastTurns: endedTurns - begunTurns,
    mostTurns: (await turnsOf(member)) - before,
    of: (path: string) => (ended.get(path) ?? 0) - (begun.get(path) ?? 0),
  }
}

test('with 200 ms more in each direction to etcd agent and server go on as if nothing were', async t => {
  const leader = await cluster.leader()
  const { timeline } = await leader.status()
  const postmaster = await leader.postmasterPid()
  const before = (await readFile(leader.agent.logFile, 'utf8')).length
  for (const { relay } of ways.values()) relay.slow(200)
  let rows = 0
  const untilMs = performance.now() + SLOW_MS
  while (performance.now() < untilMs) {
    await leader.query('CREATE TABLE IF NOT EXISTS slow (at timestamptz); INSERT INTO slow VALUES (now())')
    rows += 1
    await sleep(100)
  }
  for (const { relay } of ways.values()) relay.slow(0)
  const said = (await readFile(leader.agent.logFile, 'utf8')).slice(before)
  t.diagnostic(`${rows} rows in ${SLOW_MS / 1000} s on ${leader.name}`)
  assert.doesNotMatch(said, /fence|demot|lost leadership|etcd does not answer/)
  assert.deepEqual([(await leader.status()).timeline, await leader.postmasterPid()], [timeline, postmaster])
})
