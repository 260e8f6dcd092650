// Two sites on real servers: the second one is fed through the first one's proxy, and lives through what happens at both.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { runProgram } from '../support/run-program.ts'
import { standbyLeader, twoSites, untilRow } from '../support/two-sites.ts'

const slots = { far: { type: 'physical' } }
const { main, standby, work } = await twoSites(
  { after },
  { members: 2, proxies: 1, dcs: { slots } },
  {
    members: 2,
    proxies: 1,
    dcs: { slots },
    proxySettings: { listeners: { far: { bind: '127.0.0.1:0', pool: 'standby-leader' } } },
  },
  ({ proxies: [proxy] }) => ({
    host: proxy?.host.address,
    port: proxy?.ports.write,
    primary_slot_name: 'far',
  }),
)
const ctl = (cluster: Cluster, ...words: readonly string[]) =>
  runProgram([...work.program, 'ctl', '-c', cluster.members[0]?.configFile ?? '', ...words], {
    withinMs: 120_000,
  })
const other = (cluster: Cluster, member: Member): Member => {
  const found = cluster.members.find(one => one !== member)
  assert.ok(found)
  return found
}
let made = 0
/** Writes a row at the main site and waits until it is there. */
async function rowTo(member: Member): Promise<void> {
  made += 1
  await (await main.leader()).query(`CREATE TABLE row_${made} AS SELECT ${made} AS id`)
  await untilRow(member, `row_${made}`, 60_000)
}
async function events(member: Member): Promise<string> {
  return (await member.rest('/pgherd/events?count=200')).body
}
async function kill(member: Member): Promise<void> {
  await member.agent.kill()
  await member.killServer()
}

test('a standby cluster is fed through the write port of the main one, over its permanent slot', async () => {
  await Promise.all(standby.members.map(member => member.agent.start()))
  await standby.startRouters()
  const leader = await standbyLeader(standby)
  await rowTo(other(standby, leader))
  const [slot] = await (await main.leader()).query<{ active: boolean }>(
    "SELECT active FROM pg_replication_slots WHERE slot_name = 'far'",
  )
  assert.equal(slot?.active, true)
})

test('it outlives a failover of the main cluster: the same slot, the new timeline, no copy and no rewind', async t => {
  const old = await main.leader()
  const killedMs = performance.now()
  await kill(old)
  await main.leader({ not: [old], withinMs: 60_000 })
  const leader = await standbyLeader(standby)
  await rowTo(leader)
  t.diagnostic(
    `a row flows again ${Math.round(performance.now() - killedMs)} ms after the main leader was killed`,
  )
  await waitFor('the new timeline', { withinMs: 20_000 }, async () => (await leader.status()).timeline === 2)
  assert.doesNotMatch(await events(leader), /rewound|set-aside/)
  await old.agent.start()
  await main.complete(180_000)
})

test('the standby leader is lost: another member takes the key and follows the main cluster', async t => {
  const old = await standbyLeader(standby)
  const heir = other(standby, old)
  const killedMs = performance.now()
  await kill(old)
  await waitFor('the other one', { withinMs: 60_000 }, async () => (await standby.leaderKey()) === heir.name)
  assert.equal(await standbyLeader(standby), heir)
  t.diagnostic(
    `${heir.name} leads ${Math.round(performance.now() - killedMs)} ms after ${old.name} was killed`,
  )
  await rowTo(heir)
  await old.agent.start()
  await rowTo(old)
  assert.equal((await old.status()).role, 'replica')
})

test('a switchover within the standby cluster moves the key and stops no server', async () => {
  const old = await standbyLeader(standby)
  const heir = other(standby, old)
  const before = await Promise.all(standby.members.map(member => member.postmasterPid()))
  const body = JSON.stringify({ leader: old.name, candidate: heir.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(60_000) })
  assert.equal(answer.code, 200, answer.body)
  assert.equal(await standbyLeader(standby), heir)
  await rowTo(old)
  assert.deepEqual(await Promise.all(standby.members.map(member => member.postmasterPid())), before)
})

test('a proxy of the standby cluster leads to the standby leader, and never writes', async () => {
  const [proxy] = standby.proxies
  assert.ok(proxy)
  const leader = await standbyLeader(standby)
  const { admin } = proxy.ports
  await waitFor('the pools', { withinMs: 20_000 }, async note => {
    const answer = await fetch(`http://${proxy.host.address}:${admin}/status`, {
      signal: AbortSignal.timeout(2_000),
    })
    const text = await answer.text()
    note(text.slice(0, 2_000))
    return answer.status === 200 && text.includes(leader.name)
  })
  const target = { ...leader.direct, host: proxy.host.address, port: proxy.ports.write }
  await assert.rejects(queryOnce(target, 'SELECT 1'))
})

test('the sites change places: the main cluster is demoted, the other one promoted, nothing is lost or rewound', async t => {
  const [proxy] = standby.proxies
  assert.ok(proxy)
  const before = await main.leader()
  const { host, ports } = proxy
  const demoted = await ctl(
    main,
    ...['demote-cluster', '--force', '--host', host.address, '--port', String(ports.write)],
    ...['--primary-slot-name', 'far'],
  )
  assert.match(demoted.stdout, /Success: the leader is a standby leader now/, demoted.stdout + demoted.stderr)
  assert.equal((await before.rest('/primary')).code, 503)
  await assert.rejects(before.query('CREATE TABLE late AS SELECT 1 AS id'), /read-only/)
  const promotedMs = performance.now()
  const promoted = await ctl(standby, 'promote-cluster', '--force')
  assert.match(promoted.stdout, /Success: the leader is a primary now/, promoted.stdout + promoted.stderr)
  const leader = await standby.leader()
  await leader.query('CREATE TABLE reversed AS SELECT 1 AS id')
  await untilRow(before, 'reversed', 60_000)
  t.diagnostic(
    `rows flow the other way ${Math.round(performance.now() - promotedMs)} ms after the promotion's order`,
  )
  assert.equal(await standbyLeader(main), before)
  assert.doesNotMatch(await events(before), /rewound|set-aside/)
  const [count] = await leader.query<{ n: string }>(
    "SELECT count(*)::text AS n FROM pg_class WHERE relname LIKE 'row\\_%'",
  )
  assert.equal(count?.n, String(made))
})

test('a site that wrote on its own is rewound when it is demoted to follow the other one', async () => {
  // Both take writes for a while, as after a loss of the line between them that somebody answered by a promotion.
  await changeConfig(main, { standby_cluster: null })
  const leader = await main.leader()
  await leader.query('CREATE TABLE alone AS SELECT 1 AS id')
  const ahead = await standby.leader()
  await ahead.query('CREATE TABLE ahead AS SELECT 1 AS id')
  const [proxy] = standby.proxies
  await changeConfig(main, {
    standby_cluster: { host: proxy?.host.address, port: proxy?.ports.write, primary_slot_name: 'far' },
  })
  await untilRow(leader, 'ahead', 90_000)
  assert.match(await events(leader), /rewound/)
  assert.deepEqual(await leader.query("SELECT 1 FROM pg_class WHERE relname = 'alone'"), [])
  await untilRow(other(main, leader), 'ahead', 90_000)
  assert.equal(JSON.parse(await keyText(main, `members/${leader.name}`)).role, 'standby_leader')
})
