// What an agent costs etcd while nothing happens, counted on the way: HTTP shows each request by name. Then the way is slow.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../../src/demo/member.ts'
import { Relay } from '../contract/dcs-relay.ts'
import { createCluster } from '../support/fixture.ts'

const QUIET_MS = 10_000
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
  const before = new Map<Member, number>()
  for (const member of ways.keys()) before.set(member, await turnsOf(member))
  const startedMs = performance.now()
  await sleep(QUIET_MS)
  for (const [member, { counted }] of ways) {
    const periods = (performance.now() - startedMs) / PERIOD_MS
    const turns = (await turnsOf(member)) - (before.get(member) ?? 0)
    const { role } = await member.status()
    const of = (path: string) => counted.get(path) ?? 0
    t.diagnostic(
      `${member.name} (${role}): ${turns} turns in ${periods.toFixed(1)} periods: ${JSON.stringify(Object.fromEntries(counted))}`,
    )
    assert.ok(turns >= 7, `${turns} turns`)
    assert.ok(of('whole scope') >= turns - 1 && of('whole scope') <= turns + 1, 'one read a turn')
    const signs = of('kv/range') - of('whole scope')
    assert.ok(
      signs <= QUIET_MS / WATCH_SILENCE_MS + 2,
      `${signs} signs of life, which gRPC has without a read`,
    )
    assert.ok(of('lease/keepalive') > 0 && of('lease/keepalive') <= periods + 1, 'one keepalive a period')
    assert.ok(of('kv/txn') <= turns + 1, 'at most one write a turn: what it publishes of itself')
  }
})

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
