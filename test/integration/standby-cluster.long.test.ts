// Two sites on real servers: the second one is fed through the first one's proxy, and lives through what happens at both.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Cluster } from '../../src/demo/cluster.ts'
import { freePort } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { changeConfig, keyText } from '../support/dynamic-config.ts'
import { recordCalls, recordedCalls, roleCalls } from '../support/recorded-calls.ts'
import { runProgram } from '../support/run-program.ts'
import { standbyLeader, twoSites, untilRow } from '../support/two-sites.ts'

const slots = { far: { type: 'physical' } }
const farPort = await freePort('127.0.0.1', 15_432)
const { main, standby, work } = await twoSites(
  { after },
  { members: 2, proxies: 1, dcs: { slots } },
  {
    members: 2,
    proxies: 1,
    dcs: { slots },
    proxySettings: { listeners: { far: { bind: `127.0.0.1:${farPort}`, pool: 'standby-leader' } } },
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
  const replica = other(standby, leader)
  const through = async (host: string, port: number) => {
    const target = { ...leader.direct, host, port }
    const sql = 'SELECT inet_server_addr()::text AS address, pg_is_in_recovery() AS standby'
    const [row] = await queryOnce<{ address: string; standby: boolean }>(target, sql)
    return `${row?.address.split('/')[0]} ${row?.standby}`
  }
  for (const [what, host, port, member] of [
    ['the pool of the standby leader', '127.0.0.1', farPort, leader],
    ['the pool for reads', proxy.host.address, proxy.ports.read, replica],
  ] as const) {
    await waitFor(`${what} to lead to ${member.name}`, { withinMs: 20_000 }, async note => {
      const there = await through(host, port).catch(String)
      note(there)
      return there === `${member.host.address} true`
    })
  }
  await assert.rejects(through(proxy.host.address, proxy.ports.write), 'nobody takes writes')
})

test('the sites change places: the main cluster is demoted, the other one promoted, nothing is lost or rewound', async t => {
  const [proxy] = standby.proxies
  assert.ok(proxy)
  const before = await main.leader()
  const { host, ports } = proxy
  await recordCalls(before)
  assert.equal((await before.rest('/reload', { method: 'POST' })).code, 202)
  const isRecorded = async () => (await recordedCalls(before)).includes('on_reload primary here')
  await waitFor('the recording', { withinMs: 20_000 }, isRecorded)
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
  const told = ['on_stop demoted', 'on_role_change replica', 'on_role_change standby_leader']
  assert.deepEqual(
    await roleCalls(before),
    told.map(call => `${call} here`),
  )
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

test('fed by several hosts, a standby leader follows whichever of them takes writes', async () => {
  const follower = await standbyLeader(main)
  const old = await standby.leader()
  const heir = other(standby, old)
  // The one that takes no writes first.
  const hosts = [heir, old]
  await changeConfig(main, {
    standby_cluster: {
      host: hosts.map(({ host }) => host.address).join(','),
      port: hosts.map(({ config }) => config.postgresPort).join(','),
      primary_slot_name: 'far',
    },
  })
  const untilFedBy = (member: Member) =>
    waitFor(`${member.name} to feed ${follower.name}`, { withinMs: 60_000 }, async note => {
      const rows = await follower.query<{ host: string; port: number; slot: string }>(
        'SELECT sender_host AS host, sender_port AS port, slot_name AS slot FROM pg_stat_wal_receiver',
      )
      note(JSON.stringify(rows))
      const { host, config } = member
      return rows[0]?.host === host.address && rows[0].port === config.postgresPort && rows[0].slot === 'far'
    })
  await untilFedBy(old)
  await old.query('CREATE TABLE by_several AS SELECT 1 AS id')
  await untilRow(follower, 'by_several', 60_000)
  await kill(old)
  await standby.leader({ not: [old], withinMs: 60_000 })
  await heir.query('CREATE TABLE by_the_other AS SELECT 1 AS id')
  await untilRow(follower, 'by_the_other', 60_000)
  await untilFedBy(heir)
  assert.equal(await standbyLeader(main), follower)
})
