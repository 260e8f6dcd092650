// What operators do to an etcd under a running cluster: authentication switched on and off, a password changed, a storm of
// writes, all data lost. One cluster whose members and proxy name a user from the beginning.

import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { changePassword, switchAuthOn } from '../support/etcd-users.ts'
import { startCluster } from '../support/fixture.ts'
import { runProgram } from '../support/run-program.ts'
import { assertSafe, seconds, Witness } from './witness.ts'

const TTL_MS = 5_000
/** While a password is wrong for some seconds. */
const LATE_TTL_MS = 20_000
/** A storm ends by itself when the test has failed. */
const STORM_MAX_MS = 120_000
const user = { username: 'root', password: 'secret' }
const { cluster, work } = await startCluster(
  { after },
  {
    etcd: 3,
    members: 2,
    proxies: 1,
    overrides: { etcd3: user },
    proxySettings: { etcd: user },
    dcs: { maximum_lag_on_failover: 4_194_304 },
  },
)
const { etcd } = cluster
const by = (durationMs: number) => Deadline.in(realClock, durationMs)
const store = createEtcdDcs({
  endpoints: etcd.endpoints,
  namespace: 'service',
  scope: cluster.scope,
  clock: realClock,
  logger: silentLogger,
})
work.defer(() => store.close())

/** The tool's own user follows what etcd asks for just now. */
function useAuth(password: string | undefined): void {
  if (password === undefined) delete process.env['ETCDCTL_USER']
  else process.env['ETCDCTL_USER'] = `root:${password}`
}

/** Runs `work` under writers and checks that nobody lost the leadership and nothing else went wrong. */
async function withoutNotice(t: test.TestContext, what: string, act: () => Promise<void>): Promise<void> {
  const leader = await cluster.leader()
  const { timeline } = await leader.status()
  const witness = await Witness.start(cluster)
  const startedMs = performance.now()
  await act()
  await sleep(2 * TTL_MS)
  const report = await witness.finish(startedMs)
  t.diagnostic(`${what}: longest gap between two writes ${seconds(report.outage.ms)}`)
  assertSafe(report)
  assert.equal((await leader.status()).timeline, timeline, `${leader.name} leads on the same timeline`)
}

test('authentication switched on and off under a running cluster disturbs nobody', async t => {
  await withoutNotice(t, 'authentication on', async () => {
    await switchAuthOn((...words) => etcd.ctl(words), 'secret')
    useAuth('secret')
  })
  await withoutNotice(t, 'authentication off and on', async () => {
    await etcd.ctl(['auth', 'disable'])
    useAuth(undefined)
    await sleep(2_000)
    await etcd.ctl(['auth', 'enable'])
    useAuth('secret')
  })
})

test('a wrong password ends the start of agent, proxy and ctl with one line and code 1', async t => {
  const leader = await cluster.leader()
  const member = cluster.members.find(one => one !== leader)
  const [proxy] = cluster.proxies
  assert.ok(member !== undefined && proxy !== undefined)
  // Nothing else is wrong: nobody of this name and on these ports is there.
  await Promise.all([member.agent.stop(), proxy.server.stop()])
  const { uid, gid } = member.host.account
  const asServers = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--']
  const words = {
    agent: [...asServers, ...work.program, 'agent', await withPassword(member.configFile, 'wrong')],
    proxy: [...work.program, 'proxy', await withPassword(proxy.configFile, 'wrong')],
    ctl: [...work.program, 'ctl', '-c', await withPassword(member.configFile, 'wrong'), 'list'],
  }
  for (const [what, command] of Object.entries(words)) {
    const beganMs = performance.now()
    const { code, stderr } = await runProgram(command)
    t.diagnostic(`${what}: told after ${((performance.now() - beganMs) / 1000).toFixed(2)} s`)
    const lines = stderr.trim().split('\n')
    assert.equal(code, 1, `${what}: ${stderr}`)
    assert.equal(lines.length, 1, `${what}: ${stderr}`)
    assert.match(lines[0] ?? '', /authentication failed.*check etcd's username, password/, what)
  }
  await Promise.all([member.agent.start(), proxy.server.start()])
  await cluster.complete(60_000)
})

test('a password changed in etcd first and in the files later: the leader stays, and everybody says what is wrong', async t => {
  const [member] = etcd.members
  assert.ok(member !== undefined)
  // Leadership ends a ttl after the last read that etcd answered, so the files must follow in less.
  const leader = await cluster.leader()
  await patchConfig(leader, { ttl: LATE_TTL_MS / 1000 })
  t.after(() => patchConfig(leader, { ttl: TTL_MS / 1000 }))
  await waitFor('the longer lease', { withinMs: 30_000, everyMs: 200 }, async () => {
    const { pgherd } = JSON.parse((await leader.rest('/patroni')).body) as {
      readonly pgherd?: { readonly lease_left_ms?: number }
    }
    return (pgherd?.lease_left_ms ?? 0) > 2 * TTL_MS
  })
  await withoutNotice(t, 'password changed, 6 s later in the files', async () => {
    await changePassword(member.endpoint, 'secret', 'changed')
    useAuth('changed')
    await sleep(6_000)
    for (const { configFile } of [...cluster.members, ...cluster.proxies]) {
      const text = await readFile(configFile, 'utf8')
      await writeFile(configFile, text.replaceAll('password: secret', 'password: changed'))
    }
  })
  for (const { agent, name } of cluster.members) {
    const log = await readFile(agent.logFile, 'utf8')
    assert.match(log, /etcd refuses the user "root"/, name)
    assert.match(log, /new user or password are in use/, name)
  }
})

test('10,000 puts under the prefix while the leadership changes: the proxy routes to the new leader all the same', async t => {
  const [proxy] = cluster.proxies
  const old = await cluster.leader()
  assert.ok(proxy !== undefined)
  await etcd.ctl(['auth', 'disable'])
  useAuth(undefined)
  let puts = 0
  let isRouted = false
  const stormEndsMs = performance.now() + STORM_MAX_MS
  const storm = async () => {
    while ((!isRouted || puts < 10_000) && performance.now() < stormEndsMs) {
      const writes = Array.from({ length: 50 }, (_, index) => {
        const put = { kind: 'put', key: `pgherd/storm/${index}`, value: String(puts) } as const
        return store.write([], [put], by(10_000))
      })
      for (const { outcome } of await Promise.all(writes)) if (outcome === 'won') puts += 1
    }
  }
  const startedMs = performance.now()
  const storming = storm()
  const body = JSON.stringify({ leader: old.name })
  const answer = await old.rest('/switchover', { method: 'POST', body, signal: AbortSignal.timeout(60_000) })
  assert.equal(answer.code, 200, answer.body)
  const leader = await cluster.leader({ not: [old], withinMs: 60_000 })
  const row = await waitFor(
    'the write port to reach the new leader',
    { withinMs: 20_000, everyMs: 50 },
    async () => {
      const [found] = await queryOnce<{ address: string }>(
        proxy.write,
        'SELECT host(inet_server_addr()) AS address',
      )
      return found?.address === leader.host.address ? found : undefined
    },
  )
  isRouted = true
  t.diagnostic(
    `${puts} puts done; the write port reached ${row.address} ${seconds(performance.now() - startedMs)} after the order`,
  )
  await storming
  assert.ok(puts >= 10_000, `${puts} puts`)
  await store.write([], [{ kind: 'delete-prefix', prefix: 'pgherd/storm/' }], by(10_000))
  await cluster.complete(60_000)
})

test('ctl dcs prints every endpoint with its health and time, and how long the leases run', async () => {
  const [member] = cluster.members
  assert.ok(member !== undefined)
  const words = [...work.program, 'ctl', '-c', member.configFile, 'dcs']
  const json = await runProgram([...words, '-f', 'json'])
  assert.equal(json.code, 0, json.stderr)
  const { Endpoints: endpoints, Leases: leases } = JSON.parse(json.stdout) as {
    readonly Endpoints: readonly Readonly<Record<string, string>>[]
    readonly Leases: readonly Readonly<Record<string, string | number>>[]
  }
  assert.deepEqual(endpoints.map(row => row['Endpoint']).sort(), [...etcd.endpoints].sort())
  for (const row of endpoints) assert.match(row['Health'] ?? '', /^answers/)
  assert.equal(endpoints.filter(row => row['Raft'] === 'leader').length, 1)
  for (const row of endpoints) assert.match(String(row['Read ms']), /^\d+(\.\d+)?$/)
  const held = leases.map(row => String(row['Key']))
  for (const { name } of cluster.members)
    assert.ok(
      held.some(key => key.includes(name)),
      `${name} among ${held.join()}`,
    )
  const leader = leases.find(row => String(row['Key']).startsWith('leader'))
  assert.ok(Number(leader?.['Left s']) >= 1 && Number(leader?.['Left s']) <= TTL_MS / 1000, json.stdout)
  const pretty = await runProgram(words)
  assert.match(pretty.stdout, /Store of .*: etcd cluster \d+ /)
})

test('etcd loses all its data: the cluster gets its identity and its configuration back by itself', async t => {
  const leader = await cluster.leader()
  const { timeline } = await leader.status()
  const before = await store.read(by(10_000))
  const logs = await Promise.all(cluster.members.map(logOf))
  const witness = await Witness.start(cluster)
  const lostMs = performance.now()
  await Promise.all(etcd.members.map(member => member.server.kill()))
  for (const member of etcd.members) await rm(member.dataDir, { recursive: true, force: true })
  await etcd.start()
  const view = await waitFor(
    'the cluster to be registered again',
    { withinMs: 60_000, everyMs: 100 },
    async () => {
      const now = await store.read(by(5_000))
      const isThere = now.initialize !== undefined && now.leader !== undefined && now.config !== undefined
      return isThere ? now : undefined
    },
  )
  assert.equal(view.initialize?.value, before.initialize?.value, 'the identity is the old one')
  assert.deepEqual(
    view.config?.value,
    before.config?.value,
    'the configuration is that of before, not of bootstrap',
  )
  const next = await cluster.leader({ withinMs: 60_000 })
  await witness.writesAgain(performance.now())
  await cluster.complete(60_000)
  const report = await witness.finish(lostMs)
  t.diagnostic(
    `all data of etcd lost: outage ${seconds(report.outage.ms)}, ${leader.name} on timeline ${timeline}, then ${next.name} on ${(await next.status()).timeline}`,
  )
  assertSafe(report)
  const since = await Promise.all(
    cluster.members.map(async (member, index) => (await logOf(member)).slice(logs[index]?.length)),
  )
  for (const [index, text] of since.entries())
    assert.match(text, /etcd went back|etcd is another cluster now/, cluster.members[index]?.name)
  const writers = cluster.members.filter((_, index) => since[index]?.includes('system identifier'))
  assert.ok(writers.length > 0, 'one of the members wrote the identity')
  t.diagnostic(`the identity was written by ${writers.map(({ name }) => name).join(', ')}`)
})

test('etcd loses all its data while the cluster is paused: no server is touched, and identity, pause and leader come back', async t => {
  const leader = await cluster.leader()
  const servers = await Promise.all(cluster.members.map(member => member.postmasterPid()))
  await patchConfig(leader, { pause: true })
  await sleep(3_000)
  const before = await store.read(by(10_000))
  const witness = await Witness.start(cluster)
  const lostMs = performance.now()
  await Promise.all(etcd.members.map(member => member.server.kill()))
  for (const member of etcd.members) await rm(member.dataDir, { recursive: true, force: true })
  await sleep(TTL_MS + 2_000)
  assert.equal((await leader.status()).role, 'primary', 'paused: a primary without a store stays one')
  await etcd.start()
  const patience = { withinMs: 60_000, everyMs: 100 }
  const view = await waitFor('the cluster to be registered again', patience, async () => {
    const now = await store.read(by(5_000))
    return now.initialize !== undefined && now.leader !== undefined && now.config !== undefined
      ? now
      : undefined
  })
  assert.equal(view.leader?.name, leader.name)
  assert.equal(view.initialize?.value, before.initialize?.value, 'the identity is the old one')
  assert.deepEqual(view.config?.value, before.config?.value, 'the pause is in force again')
  await witness.writesAgain(performance.now())
  const report = await witness.finish(lostMs)
  t.diagnostic(`all data of etcd lost in a pause: outage through the proxy ${seconds(report.outage.ms)}`)
  assertSafe(report)
  assert.deepEqual(await Promise.all(cluster.members.map(member => member.postmasterPid())), servers)
  await patchConfig(leader, { pause: null })
  await cluster.complete(60_000)
  assert.deepEqual(await Promise.all(cluster.members.map(member => member.postmasterPid())), servers)
})

const logOf = ({ agent }: Member) => readFile(agent.logFile, 'utf8')

async function patchConfig(member: Member, patch: object): Promise<void> {
  const answer = await member.rest('/config', { method: 'PATCH', body: JSON.stringify(patch) })
  assert.equal(answer.code, 200, answer.body)
}

/** A copy of a file with another password of etcd. */
async function withPassword(file: string, password: string): Promise<string> {
  const copy = path.join(work.data, `${path.basename(file)}.${password}`)
  const text = await readFile(file, 'utf8')
  await writeFile(copy, text.replaceAll(/password: secret/g, `password: ${password}`), { mode: 0o644 })
  return copy
}
