// The addresses of a cluster without any proxy: each agent holds the one for writing while its server leads, and the one for
// reading while it is a replica. Clients know the two addresses and nothing else.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'

const WRITE = '10.77.0.210'
const READ = '10.77.0.211'
const vip = {
  write: { addresses: [WRITE], interface: 'eth0', ttl: 2 },
  read: { addresses: [READ], interface: 'eth0', ttl: 2, follow: 'replica' },
}
const { cluster, network } = await startCluster(
  { after },
  {
    network: { capabilities: ['net_admin', 'net_raw'] },
    etcd: 1,
    members: 3,
    proxies: 0,
    overrides: { pgherd: { vip }, postgresql: { listen: '*:5432' } },
    dcs: { ttl: 5, loop_wait: 1, retry_timeout: 1, pgherd: { short_ttl: true } },
  },
)

async function holding(address: string): Promise<readonly string[]> {
  const show = ['ip', '-br', 'address', 'show', 'dev', 'eth0']
  const texts = await Promise.all(cluster.members.map(({ host }) => network.inside(host, show)))
  return cluster.members
    .filter((_member, index) => texts[index]?.includes(` ${address}/`))
    .map(({ name }) => name)
}

/** Waits until exactly one member holds the address, and whom `wanted` accepts. */
async function heldBy(address: string, wanted: (name: string) => boolean): Promise<string> {
  let names: readonly string[] = []
  await waitFor(`${address} on the right host`, { withinMs: 60_000, everyMs: 20 }, async note => {
    names = await holding(address)
    note(names.join(', ') || 'nobody')
    return names.length === 1 && wanted(names[0] ?? '')
  })
  return names[0] ?? ''
}

/** Asks the server behind an address, as a client that knows nothing else. */
async function ask(address: string, sql: string): Promise<string> {
  const member = cluster.members[0]
  assert.ok(member)
  const { user, password = '' } = member.direct
  const program = [
    'psql',
    '-Atc',
    sql,
    `host=${address} port=5432 user=${user} dbname=postgres connect_timeout=3`,
  ]
  const text = await network.inside(cluster.etcd.members[0]?.host ?? member.host, [
    'env',
    `PGPASSWORD=${password}`,
    ...program,
  ])
  return text.trim()
}

test('the write address is where the leader is, the read address where a replica is', async () => {
  const leader = await cluster.leader()
  await heldBy(WRITE, name => name === leader.name)
  await heldBy(READ, name => name !== leader.name)
  assert.equal(await ask(WRITE, 'select pg_is_in_recovery()'), 'f')
  assert.equal(await ask(READ, 'select pg_is_in_recovery()'), 't')
})

test('the leader’s host is lost: the write address follows the promotion, and never is on two hosts', async t => {
  const old = await cluster.leader()
  const beganMs = Date.now()
  await old.host.kill()
  const next = await heldBy(WRITE, name => name !== old.name)
  const movedMs = Date.now() - beganMs
  assert.equal(await ask(WRITE, 'select pg_is_in_recovery()'), 'f')
  t.diagnostic(`the write address came to ${next} ${movedMs} ms after the host was lost (ttl 5 s)`)
  assert.ok(movedMs < 5 * 10_000)
  await old.agent.start()
  await cluster.complete()
  assert.deepEqual(await holding(WRITE), [next])
})

test('the leader’s agent is stopped in order: the address is gone before the server is', async t => {
  const old = await cluster.leader()
  const beganMs = Date.now()
  const stopped = old.agent.stop(30_000)
  await waitFor(
    'the address to be gone',
    { withinMs: 5_000, everyMs: 5 },
    async () => !(await holding(WRITE)).includes(old.name),
  )
  t.diagnostic(`gone after ${Date.now() - beganMs} ms`)
  await heldBy(WRITE, name => name !== old.name)
  t.diagnostic(`at the next leader after ${Date.now() - beganMs} ms`)
  assert.equal(await ask(WRITE, 'select pg_is_in_recovery()'), 'f')
  await stopped
  await old.agent.start()
  await cluster.complete()
})

test('the leader’s agent is frozen: its guard takes the address away while the server still runs', async () => {
  const old = await cluster.leader()
  await old.agent.freeze()
  await waitFor(
    'the address to be gone',
    { withinMs: 5_000, everyMs: 10 },
    async () => !(await holding(WRITE)).includes(old.name),
  )
  await heldBy(WRITE, name => name !== old.name)
  old.agent.thaw()
  await cluster.complete()
  await heldBy(READ, name => name !== '')
})
