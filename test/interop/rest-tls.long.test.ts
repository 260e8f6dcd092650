// Members whose REST servers ask everybody for a certificate, and who must reach them all the same: our proxy through etcd and
// through /cluster, and HAProxy 2.6 and our proxy with one haproxy.cfg.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chown, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { stringify } from 'yaml'
import { freePort, LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import { ROLES } from '../../src/demo/member-config.ts'
import type { Server } from '../../src/demo/server.ts'
import { queryOnce, type SqlTarget } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { dial } from '../integration/proxy-wire.ts'
import { makeCertificates } from '../support/certificates.ts'
import { createCluster } from '../support/fixture.ts'
import { runProgram } from '../support/run-program.ts'
import { makeWorkplace } from '../support/workplace.ts'

const place = await makeWorkplace({ after })
const certificates = await makeCertificates(path.join(place.data, 'certificates'))
const strangers = await makeCertificates(path.join(place.data, 'strangers'))
const client = await certificates.issue('client')
/** Certificate and key in one file, as HAProxy wants them. */
const both = path.join(place.data, 'certificates', 'both.pem')
await writeFile(both, `${await readFile(client.cert, 'utf8')}${await readFile(client.key, 'utf8')}`)

const { cluster, work } = await createCluster(
  { after },
  {
    etcd: 1,
    members: 3,
    proxies: 1,
    proxySettings: { checks: { cacert: certificates.ca, cert: client.cert, key: client.key } },
  },
)
const [proxy] = cluster.proxies
assert.ok(proxy)
await readableBy(proxy.host.account, [client.cert, client.key, both, certificates.ca, strangers.ca])
await cluster.start()
for (const member of cluster.members) await speakTls(member)

async function readableBy(account: { uid: number; gid: number }, files: readonly string[]): Promise<void> {
  for (const file of files) await chown(file, account.uid, account.gid)
}

/** From now on nobody gets a word from its REST server without a certificate. */
async function speakTls(member: Member): Promise<string> {
  const server = await certificates.issue(member.name, member.host.address)
  await readableBy(member.host.account, [server.cert, server.key])
  const tls = { certfile: server.cert, keyfile: server.key, cafile: certificates.ca }
  await member.configure({
    restapi: { ...tls, verify_client: 'required' },
    ctl: { certfile: client.cert, keyfile: client.key, cacert: certificates.ca },
  })
  process.kill(member.agent.pid, 'SIGHUP')
  await waitFor(`the https address of ${member.name}`, { withinMs: 20_000 }, async note => {
    const value = (await cluster.etcd.value(`/service/${cluster.scope}/members/${member.name}`)) ?? ''
    note(value)
    return value.includes(`https://${member.restAddress}/patroni`)
  })
  return server.cert
}

/** Until the member shows this certificate to whoever connects. */
async function showsRenewed(member: Member, file: string): Promise<void> {
  const wanted = new X509Certificate(await readFile(file)).fingerprint256
  const [host = '', port = ''] = member.restAddress.split(':')
  await waitFor(`the renewed certificate of ${member.name}`, { withinMs: 20_000 }, async note => {
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false })
    socket.on('error', () => {})
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')])
    const shown = socket.getPeerX509Certificate()?.fingerprint256
    socket.destroy()
    note(String(shown))
    return shown === wanted
  })
}

/** The member that answers there. */
async function answering(target: SqlTarget): Promise<string> {
  const [row] = await queryOnce<{ address: string }>(target, 'SELECT host(inet_server_addr()) AS address')
  return cluster.members.find(({ host }) => host.address === row?.address)?.name ?? 'nobody'
}

/** Writes reach the member that the key names, reads both others. */
async function routes(ports: { readonly write: SqlTarget; readonly read: SqlTarget }): Promise<string> {
  return waitFor('writes to reach the leader and reads the others', { withinMs: 30_000 }, async note => {
    const leader = await cluster.leaderKey()
    const seen = [await answering(ports.write)]
    for (let turn = 0; turn < 4; turn += 1) seen.push(await answering(ports.read))
    note(`${leader}: ${seen.join()}`)
    const readers = new Set(seen.slice(1))
    return seen[0] === leader && readers.size === 2 && !readers.has(leader ?? '') ? leader : undefined
  })
}

interface Status {
  readonly write: { readonly takes_new: boolean } | null
  readonly members: readonly {
    readonly name: string
    readonly silence: string | null
    readonly is_up: boolean
  }[]
  readonly events: readonly { readonly kind: string; readonly says: string }[]
}

async function statusOf(address: string, port: number): Promise<Status> {
  const response = await fetch(`http://${address}:${port}/status`, { signal: AbortSignal.timeout(2000) })
  return (await response.json()) as Status
}

const statusOfProxy = () => statusOf(proxy.host.address, proxy.ports.admin)

async function allAnswer(): Promise<void> {
  await waitFor('all members to answer by TLS', { withinMs: 20_000 }, async note => {
    const { members } = await statusOfProxy()
    note(JSON.stringify(members))
    return members.length === 3 && members.every(({ silence, is_up }) => silence === null && is_up)
  })
}

test('members change to TLS with client certificates under a running proxy: it goes on asking them', async () => {
  await allAnswer()
  await routes(proxy)
  // Nobody else is answered.
  await assert.rejects(fetch(`https://${cluster.members[0]?.restAddress}/primary`))
})

test('a switchover by ctl, with certificates all the way: the proxy follows', async () => {
  const before = await routes(proxy)
  const [member] = cluster.members
  assert.ok(member)
  const words = ['ctl', '-c', member.configFile, 'switchover', cluster.scope, '--force']
  const { code, stdout, stderr } = await runProgram([...work.program, ...words])
  assert.equal(code, 0, stdout + stderr)
  assert.notEqual(await routes(proxy), before)
  await allAnswer()
})

test('authority, certificates and keys of everybody are renewed in their files: the proxy goes on asking without a restart', async t => {
  const { pid } = proxy.server
  const renewed = await makeCertificates(path.join(place.data, 'certificates'))
  const again = await renewed.issue('client')
  await readableBy(proxy.host.account, [again.cert, again.key, renewed.ca])
  await writeFile(both, `${await readFile(again.cert, 'utf8')}${await readFile(again.key, 'utf8')}`)
  for (const member of cluster.members) await showsRenewed(member, await speakTls(member))
  const beganMs = performance.now()
  await allAnswer()
  t.diagnostic(
    `asked again ${(performance.now() - beganMs).toFixed(0)} ms after the last member had its certificate`,
  )
  await routes(proxy)
  assert.equal(proxy.server.pid, pid)
  await assert.rejects(fetch(`https://${cluster.members[0]?.restAddress}/primary`))
})

const layout = new LoopbackLayout(path.join(place.data, 'more'), place.logs)
const host = await layout.host('more')
place.defer(() => host.remove())
const ports = {
  write: await freePort(host.address, 15_000),
  read: await freePort(host.address, 16_000),
  admin: await freePort(host.address, 17_000),
}
const { username: user, password } = ROLES.superuser
const targetOf = (port: number) => ({ host: host.address, port, user, password })
const reached = { write: targetOf(ports.write), read: targetOf(ports.read) }

/** A proxy without etcd that knows one https address. */
async function discovering(checks: Readonly<Record<string, unknown>>): Promise<Server> {
  const file = host.path('discover.yml')
  const text = stringify({
    scope: cluster.scope,
    patroni: cluster.members.map(({ restAddress }) => `https://${restAddress}`),
    listeners: {
      write: { bind: `${host.address}:${ports.write}` },
      read: { bind: `${host.address}:${ports.read}` },
    },
    admin: { bind: `${host.address}:${ports.admin}` },
    checks: { timeout: '2s', ...checks },
  })
  await writeFile(file, text)
  await readableBy(host.account, [file])
  const server = host.server({ name: 'discover', command: [...work.program, 'proxy', file] })
  await server.start()
  return server
}

const shown = { cert: client.cert, key: client.key }
for (const [name, checks] of [
  ['with authority, certificate and key', { cacert: certificates.ca, ...shown }],
  ['with certificate and key in one file', { cacert: certificates.ca, cert: both }],
  ['with a certificate, without verifying theirs', { verify: false, ...shown }],
] as const) {
  test(`without etcd, ${name}: members are found and asked`, async t => {
    const server = await discovering(checks)
    t.after(() => server.stop())
    await routes(reached)
  })
}

for (const [name, checks, why] of [
  [
    'without a certificate of ours',
    { cacert: certificates.ca },
    /it may ask for a certificate: checks\.cert and checks\.key/,
  ],
  [
    'with an authority that did not sign theirs',
    { cacert: strangers.ca, ...shown },
    /checks\.cacert names who signed it/,
  ],
] as const) {
  test(`without etcd, ${name}: nothing is routed, and the event says why`, async t => {
    const server = await discovering(checks)
    t.after(() => server.stop())
    const event = await waitFor('the event', { withinMs: 20_000 }, async () => {
      const { events } = await statusOf(host.address, ports.admin)
      return events.find(({ kind }) => kind === 'store-silent')
    })
    t.diagnostic(event.says)
    assert.match(event.says, why)
    assert.equal((await statusOf(host.address, ports.admin)).write, null)
  })
}

/** The checks that the pages about Patroni and HAProxy show for a REST server with TLS. */
async function haproxyFile(words: string): Promise<string> {
  const servers = cluster.members.map(
    ({ name, host: { address }, config }) =>
      `  server ${name} ${address}:${config.postgresPort} check port ${config.restPort} ${words}`,
  )
  const pool = (name: string, port: number, check: string) => [
    ...[`listen ${name}`, `  bind ${host.address}:${port}`, `  option httpchk ${check}`],
    ...[
      '  http-check expect status 200',
      '  default-server inter 500ms fall 3 rise 2 on-marked-down shutdown-sessions',
    ],
    ...servers,
  ]
  const file = host.path('haproxy.cfg')
  const times = ['timeout connect 4s', 'timeout client 30m', 'timeout server 30m', 'timeout check 5s']
  const lines = [
    ...['global', '  maxconn 100', 'defaults', '  mode tcp', ...times.map(line => `  ${line}`)],
    ...pool('write', ports.write, 'OPTIONS /primary'),
    ...pool('read', ports.read, 'GET /replica'),
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  await readableBy(host.account, [file])
  return file
}

const RUNNERS = { HAProxy: ['haproxy', '-db', '-f'], pgherd: [...work.program, 'proxy', '-f'] } as const
type Runner = keyof typeof RUNNERS
const trusted = `check-ssl verify required ca-file ${certificates.ca} crt ${both}`

/** Runs it with these words at each server until the test ends. */
async function runs(t: TestContext, runner: Runner, words: string): Promise<void> {
  const name = runner.toLowerCase()
  const server = host.server({ name, command: [...RUNNERS[runner], await haproxyFile(words)] })
  await server.start()
  t.after(() => server.stop())
}

async function reachesNobody(): Promise<void> {
  await waitFor('it to listen', { withinMs: 20_000 }, async () => {
    ;(await dial(reached.write)).socket.destroy()
    return true
  })
  // HAProxy has everybody up until three checks have failed; ours nobody until one was good.
  await sleep(4_000)
  for (const target of [reached.write, reached.read, reached.write]) await assert.rejects(answering(target))
}

for (const runner of ['HAProxy', 'pgherd'] as const) {
  test(`${runner} reaches them by check-ssl verify required ca-file crt`, async t => {
    await runs(t, runner, trusted)
    await routes(reached)
  })

  test(`${runner} reaches them by check-ssl verify none crt`, async t => {
    await runs(t, runner, `check-ssl verify none crt ${both}`)
    await routes(reached)
  })

  test(`${runner} reaches nobody when the ca-file is another authority's`, async t => {
    await runs(t, runner, `check-ssl verify required ca-file ${strangers.ca} crt ${both}`)
    await reachesNobody()
  })
}

test('the members get certificates for another address than theirs', async () => {
  for (const member of cluster.members) {
    const { cert, key } = await certificates.issue(member.name, '192.0.2.1')
    await readableBy(member.host.account, [cert, key])
    process.kill(member.agent.pid, 'SIGHUP')
  }
  await waitFor('our own checks to refuse them, by name', { withinMs: 20_000 }, async note => {
    const { members } = await statusOfProxy()
    note(JSON.stringify(members))
    return members.every(({ silence }) => silence?.includes('192.0.2.1'))
  })
})

for (const runner of ['HAProxy', 'pgherd'] as const) {
  test(`${runner} does not look at the name of a certificate unless the file has one`, async t => {
    await runs(t, runner, trusted)
    await routes(reached)
  })

  test(`${runner} takes a certificate for the name of check-sni`, async t => {
    await runs(t, runner, `${trusted} check-sni localhost`)
    await routes(reached)
  })

  for (const word of ['check-sni', 'verifyhost']) {
    test(`${runner} takes no certificate for another name than that of ${word}`, async t => {
      await runs(t, runner, `${trusted} ${word} another.example`)
      await reachesNobody()
    })
  }
}
