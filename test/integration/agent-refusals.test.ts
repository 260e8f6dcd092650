// What an agent does with a mistake of its operator: one line that names the thing and the cure, an exit code, and the data
// as it was. The lines stand in test/fixtures/snapshots/agent-refusals, to be read as text.

import assert from 'node:assert/strict'
import { chmod, chown, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import test, { after } from 'node:test'
import { Cluster } from '../../src/demo/cluster.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import { Member } from '../../src/demo/member.ts'
import type { Settings } from '../../src/demo/member-config.ts'
import { proxyOn } from '../../src/demo/router.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { matchSnapshot } from '../support/snapshot.ts'
import { quickBinDir } from '../support/tools.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { fingerprint, readable, readLog, runAsRoot, runToItsEnd, withoutProgress } from './refusal.ts'

const work = await makeWorkplace({ after })
const layout = new LoopbackLayout(work.data, work.logs)
const cluster = await Cluster.create({
  layout,
  program: work.program,
  etcd: 1,
  members: 1,
  proxies: 0,
  binDir: await quickBinDir(),
  parameters: { fsync: 'off' },
  // initdb trusts loopback unless told otherwise, and a trusted user's password is never wrong.
  overrides: {
    bootstrap: { initdb: [{ locale: 'C.UTF-8' }, 'data-checksums', { 'auth-host': 'scram-sha-256' }] },
  },
})
work.defer(() => cluster.remove())
await cluster.start()
const pg1 = cluster.member('pg1')

/** Another member of the running cluster, not started. `scope` may be another one. */
async function newMember(
  name: string,
  overrides: Settings = {},
  scope = cluster.scope,
  dataDir?: string,
): Promise<Member> {
  const host = await layout.host(name)
  work.defer(() => host.remove())
  const { endpoints: etcd } = cluster.etcd
  return Member.on(host, {
    ...{ scope, keeper: 'pgherd', program: work.program, etcd, overrides },
    ...(dataDir === undefined ? {} : { dataDir: async () => dataDir }),
  })
}

/** A copy of pg1's data as a crash would leave it. A running server's files come and go, so it may need a second try. */
async function copyData(): Promise<string> {
  const copy = path.join(work.data, 'copy-of-pg1')
  await pg1.query('CHECKPOINT')
  await waitFor('a copy of the data', { withinMs: 120_000 }, async note => {
    await rm(copy, { recursive: true, force: true })
    const made = await runChild('cp', ['--archive', pg1.dataDir, copy], {
      by: Deadline.in(realClock, 60_000),
    })
    note(made.stderr)
    return made.code === 0
  })
  await rm(path.join(copy, 'postmaster.pid'))
  return copy
}

const stoppedData = await copyData()

/** A member with a stopped copy of pg1's data. */
async function newMemberWithData(name: string, overrides: Settings = {}): Promise<Member> {
  const member = await newMember(name, overrides)
  const by = Deadline.in(realClock, 60_000)
  const copied = await runChild('cp', ['--archive', stoppedData, member.dataDir], { by })
  assert.equal(copied.code, 0, copied.stderr)
  return member
}

/** Runs the agent, compares its lines with the fixture, and checks that it ended with code 1 and changed no file. */
async function assertRefused(member: Member, name: string): Promise<void> {
  const before = await fingerprint(member.dataDir)
  const { code, lines } = await runToItsEnd(member)
  await matchSnapshot(`agent-refusals/${name}`, readable(withoutProgress(lines), cluster, member))
  assert.equal(code, 1)
  assert.deepEqual(await fingerprint(member.dataDir), before)
}

test('PostgreSQL port in use', async () => {
  const member = await newMemberWithData('pg-port')
  await using _other = await listenOn(member.host.address, member.config.postgresPort)
  await assertRefused(member, 'postgres-port-in-use')
})

test('PostgreSQL port in use before there is any data', async () => {
  const member = await newMember('pg-port-new')
  await using _other = await listenOn(member.host.address, member.config.postgresPort)
  await assertRefused(member, 'postgres-port-in-use-without-data')
})

test('REST port in use', async () => {
  const member = await newMemberWithData('pg-rest-port')
  await using _other = await listenOn(member.host.address, member.config.restPort)
  await assertRefused(member, 'rest-port-in-use')
})

test('unreadable data directory', async () => {
  const member = await newMemberWithData('pg-unreadable')
  await chmod(member.dataDir, 0o000)
  if (process.getuid?.() === 0) await chown(member.dataDir, 0, 0)
  await assertRefused(member, 'data-directory-unreadable')
})

test('data directory of another major version', async () => {
  const member = await newMemberWithData('pg-old')
  await writeFile(path.join(member.dataDir, 'PG_VERSION'), '13\n')
  await assertRefused(member, 'data-directory-of-another-version')
})

test('missing binaries', async () => {
  const member = await newMemberWithData('pg-no-binaries', {
    postgresql: { bin_dir: '/usr/lib/postgresql/none/bin' },
  })
  await assertRefused(member, 'binaries-missing')
})

test('second agent with the same name', async () => {
  const member = await newMemberWithData('pg-double', { name: 'pg1' })
  await assertRefused(member, 'second-agent-of-the-same-name')
  assert.equal((await pg1.status()).role, 'primary')
})

test('wrong system identifier: two clusters in one scope', async () => {
  const other = await Cluster.create({
    layout,
    program: work.program,
    etcd: cluster.etcd,
    members: 1,
    proxies: 0,
    scope: 'other',
    prefix: 'other-',
    parameters: { fsync: 'off' },
  })
  const [member] = other.members
  assert.ok(member)
  work.defer(() => member.host.remove())
  await member.agent.start()
  await other.leader()
  await member.agent.stop()
  const stray = await newMember('pg-stray', {}, cluster.scope, member.dataDir)
  await assertRefused(stray, 'another-cluster-in-the-scope')
})

test('started as root', async () => {
  const member = await newMemberWithData('pg-root')
  await member.configure()
  const before = await fingerprint(member.dataDir)
  const { code, lines } = await runAsRoot(work.program, member.configFile)
  await matchSnapshot('agent-refusals/started-as-root', readable(withoutProgress(lines), cluster, member))
  assert.deepEqual(await fingerprint(member.dataDir), before)
  assert.equal(code, 1)
})

test('wrong password to PostgreSQL', async () => {
  await pg1.agent.kill()
  await pg1.configure({ postgresql: { authentication: { superuser: { password: 'mistyped' } } } })
  const postmaster = await pg1.postmasterPid()
  const { code, lines } = await runToItsEnd(pg1)
  await matchSnapshot('agent-refusals/wrong-password', readable(withoutProgress(lines), cluster, pg1))
  assert.ok(
    lines.some(line => /INFO: took over the running PostgreSQL server \(pid \d+\)$/.test(line)),
    lines.join('\n'),
  )
  assert.equal(code, 1)
  assert.equal(await pg1.postmasterPid(), postmaster, 'the server runs on')
  await pg1.configure()
  await pg1.agent.start()
  await cluster.leader()
})

// By then the server runs, and the role's password may as well be wrong on the leader: the agent says so and goes on.
test('wrong password to PostgreSQL, whose server was stopped', async () => {
  const member = await newMemberWithData('pg-password', {
    postgresql: { authentication: { superuser: { password: 'mistyped' } } },
  })
  await member.agent.start()
  const line = await waitFor('a word about the password', { withinMs: 60_000 }, async () => {
    return (await readLog(member)).find(text => text.includes('refused the password'))
  })
  await matchSnapshot('agent-refusals/wrong-password-later', readable([line], cluster, member))
  await member.agent.stop()
})

// The role's password may as well be wrong on the leader, so the agent goes on trying, less and less often.
test('wrong password for replication, before there is any data', async () => {
  const member = await newMember('pg-replication', {
    postgresql: { authentication: { replication: { password: 'mistyped' } } },
  })
  await member.agent.start()
  const said = await waitFor('a word about the copy', { withinMs: 60_000 }, async () => {
    const lines = await readLog(member)
    return lines.find(line => line.includes('waiting to try again')) === undefined ? undefined : lines
  })
  const errors = said.filter(line => line.includes('ERROR'))
  await matchSnapshot(
    'agent-refusals/wrong-replication-password',
    readable(errors.slice(0, 1), cluster, member),
  )
  assert.deepEqual(await readdir(member.dataDir).catch(() => []), [])
  await member.agent.kill()
})

test('etcd unreachable at start: it says so and waits, and begins when etcd is there', async () => {
  const member = await newMember('pg-early')
  const [etcd1] = cluster.etcd.members
  assert.ok(etcd1)
  await etcd1.server.kill()
  await member.agent.start()
  // On a busy machine the read's deadline may come before the refusal: then a later line tells of the refusal.
  const line = await waitFor('a word about etcd', { withinMs: 60_000 }, async note => {
    const lines = await readLog(member)
    note(lines.join('\n'))
    return lines.find(text => text.includes('waiting for etcd') && text.includes('ECONNREFUSED'))
  })
  await matchSnapshot('agent-refusals/etcd-unreachable', readable([line], cluster, member))
  await cluster.etcd.startMember(etcd1)
  await waitFor(
    'the member to follow',
    { withinMs: 60_000 },
    async () => (await member.status()).state === 'running',
  )
})

test('a proxy started while etcd is away: it says so, answers its status port, and routes when etcd is there', async () => {
  const host = await layout.host('early-proxy')
  work.defer(() => host.remove())
  const { scope, etcd } = cluster
  const [etcd1] = etcd.members
  assert.ok(etcd1)
  await cluster.leader()
  await etcd1.server.kill()
  const proxy = await proxyOn(host, { scope, etcd: etcd.endpoints, program: work.program })
  await proxy.server.start()
  await proxy.ready()
  await waitFor('a word about etcd', { withinMs: 60_000 }, async note => {
    const text = await readFile(proxy.server.logFile, 'utf8')
    note(text)
    return /etcd does not answer/.test(text)
  })
  await etcd.startMember(etcd1)
  const sql = 'SELECT pg_is_in_recovery() AS standby'
  const rows = await waitFor('the write port to reach the leader', { withinMs: 60_000 }, () =>
    queryOnce<{ standby: boolean }>(proxy.write, sql),
  )
  assert.deepEqual(rows, [{ standby: false }])
  await proxy.server.stop()
})

async function listenOn(host: string, port: number): Promise<AsyncDisposable> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, resolve)
  })
  return { [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve())) }
}
