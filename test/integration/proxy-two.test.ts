// Two proxies in front of one cluster, as behind one address: a cancel request comes to the one that does not know the
// session. And HAProxy as a peer of the PROXY header, in both directions.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import test, { after } from 'node:test'
import { type Holding, holdsFor, registeredProxies } from '../../src/cluster/registration.ts'
import { freePort } from '../../src/demo/loopback.ts'
import { proxyOn, type Router } from '../../src/demo/router.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { CancelKeys, CancelRequests } from '../../src/proxy/cancel.ts'
import { type Ran, runProgram } from '../support/run-program.ts'
import { startup } from '../unit/proxy/bytes.ts'
import { Stand, type Status } from './proxy-rig.ts'
import { cancelsStatement, isReady, login, loginTls, query, Stage, Watched } from './proxy-wire.ts'

const stand = await Stand.open({ after }, { proxy: { name: 'proxy1' } })
const host = await stand.layout.host('proxy2')
stand.work.defer(() => host.remove())
const { program } = stand.work
const etcd = stand.etcd.endpoints
const other = await proxyOn(host, { scope: 'pgsql', etcd, program }, { name: 'proxy2' })
await other.server.start()
await other.ready()
await stand.settle()

/** Where the client of the chain connects from: an address that no proxy of the chain has. */
const CLIENT = '127.0.0.99'

async function statusOf({
  host: { address },
  ports,
}: Router): Promise<Status & { readonly closing: boolean }> {
  const answer = await fetch(`http://${address}:${ports.admin}/status`, {
    signal: AbortSignal.timeout(10_000),
  })
  return (await answer.json()) as Status & { readonly closing: boolean }
}

/** `pgherdctl proxy ...`, and what it printed. */
async function ctlProxy(...words: readonly string[]): Promise<Ran> {
  return runProgram([...program, 'ctl', '-d', `etcd3://${etcd[0]}/service`, 'proxy', ...words])
}

/** A proxy's rows as objects. */
async function rowsOf(...words: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await ctlProxy(...words, 'pgsql', '-f', 'json')
  return JSON.parse(stdout) as Record<string, unknown>[]
}

test('pgherdctl proxy shows sessions, pools and evidence with its deadlines, and explains a server, by each proxy', async () => {
  await waitFor(
    'both proxies to be registered, and the other to know all',
    { withinMs: 20_000 },
    async () => {
      const view = await stand.dcs.read(Deadline.in(realClock, 5_000))
      const { write, reads } = await statusOf(other)
      return registeredProxies(view).length === 2 && write?.takes_new === true && reads.length === 2
    },
  )
  const client = await login(other.write)
  const sessions = await rowsOf('sessions')
  assert.deepEqual(
    sessions.map(row => [row['proxy'], row['listener'], row['server'], row['state']]),
    [['proxy2', 'write', 'pg1', 'streaming']],
  )
  client.socket.destroy()
  const pools = await rowsOf('pools', '--proxy', 'proxy1')
  assert.deepEqual(
    pools.map(row => [row['listener'], row['server'], row['takes_new'], row['why']]),
    [
      ['write', 'pg1', true, 'leads'],
      ['read', 'pg1', false, 'holds the leader key'],
      ['read', 'pg2', true, 'takes sessions'],
      ['read', 'pg3', true, 'takes sessions'],
    ],
  )
  const evidence = await rowsOf('evidence')
  assert.equal(evidence.length, 6)
  for (const row of evidence) {
    const isLeader = row['server'] === 'pg1'
    assert.equal(row['says'], isLeader ? 'primary, running' : 'replica, running')
    for (const deadline of ['answers_left_s', 'lease_left_s', 'route_left_s'])
      assert.equal(typeof row[deadline], isLeader ? 'number' : 'undefined', JSON.stringify(row))
    assert.ok(!isLeader || (Number(row['lease_left_s']) > 5 && Number(row['lease_left_s']) <= 30))
  }
  const told = await ctlProxy('explain', 'pg1', 'pgsql')
  for (const name of ['proxy1', 'proxy2']) {
    assert.match(told.stdout, new RegExp(`^${name}: pg1 at .*: leader$`, 'm'))
    assert.match(told.stdout, new RegExp(`^${name}: writes: lease: good for \\d+\\.\\d s$`, 'm'))
  }
  const unknown = await ctlProxy('explain', 'pg9', 'pgsql')
  assert.deepEqual(
    [unknown.code, unknown.stderr],
    [1, 'Error: no server has the name pg9: there is pg1, pg2, pg3\n'],
  )
})

test('pgherdctl proxy asks a proxy at its address without a store; one that does not answer is told', async () => {
  const at = `${stand.proxy.host.address}:${stand.proxy.ports.admin}`
  const ran = await runProgram([...program, 'ctl', 'proxy', 'pools', '--at', at, '-f', 'tsv'])
  assert.equal(ran.code, 0, ran.stderr)
  assert.match(ran.stdout, new RegExp(`^${at}\twrite\tleader\t\tpg1\tyes\tleads$`, 'm'))
  const nobody = `${host.address}:${await freePort(host.address, 17_900)}`
  const silent = await runProgram([...program, 'ctl', '--strict', 'proxy', 'evidence', '--at', nobody])
  assert.equal(silent.code, 1)
  assert.match(silent.stderr, new RegExp(`^${nobody} does not answer at ${nobody}: .*ECONNREFUSED`))
})

/** How long after the word of the leader's agent each proxy has answered it. */
async function answersTo(end: Holding, sinceMs: number, count: number): Promise<readonly number[]> {
  const answeredAtMs = new Map<string, number>()
  return waitFor(`${count} proxies to answer`, { withinMs: 10_000, everyMs: 2 }, async () => {
    const view = await stand.dcs.read(Deadline.in(realClock, 5_000))
    for (const proxy of registeredProxies(view))
      if (holdsFor(proxy, end) && !answeredAtMs.has(proxy.name))
        answeredAtMs.set(proxy.name, performance.now() - sinceMs)
    return answeredAtMs.size === count ? [...answeredAtMs.values()] : undefined
  })
}

test('every proxy answers the word of the leader’s agent that its term ends, and by then holds new sessions', async t => {
  const { epoch } = await stand.status()
  const createRevision = BigInt(epoch?.create_revision ?? 0)
  const sinceMs = performance.now()
  const value = `{"create_revision":${createRevision},"drain_ms":5000}`
  const put = { kind: 'put', key: 'pgherd/closing', value } as const
  const { revision } = await stand.dcs.write([], [put], Deadline.in(realClock, 5_000))
  assert.ok(revision !== undefined)
  const tookMs = await answersTo({ createRevision, revision }, sinceMs, 2)
  t.diagnostic(`answered after ${tookMs.map(ms => ms.toFixed(0)).join(' and ')} ms`)
  for (const proxy of [stand.proxy, other]) {
    const { write, closing } = await statusOf(proxy)
    assert.deepEqual([closing, write?.takes_new], [true, false])
  }
  await stand.dcs.write([], [{ kind: 'delete', key: 'pgherd/closing' }], Deadline.in(realClock, 5_000))
  await stand.routed('pg1')
})

for (const [how, enter] of [
  ['clear text', login],
  ['TLS', loginTls],
] as const) {
  test(`a cancel request that comes to another proxy stops the right statement of a session in ${how}, on both ports`, async () => {
    for (const [here, there] of [
      [stand.write, other.write],
      [stand.read, other.read],
      [stand.read, other.read],
    ] as const) {
      const client = await enter(here)
      await cancelsStatement(client, there)
    }
  })
}

test('the key of a session whose term has ended reaches its server no more, though the server has a new term', async t => {
  const server = await Stage.open()
  t.after(() => server.close())
  const backend = new Backend('pg1', server.address, realClock)
  const keys = new CancelKeys()
  keys.add('42:0badcafe', backend, backend.gate)
  backend.retire('newer-epoch', 'pg2 took over')
  const known = keys.find(42, '0badcafe')
  assert.ok(known !== undefined && backend.gate.isOpen())
  const way = { source: undefined, sendProxy: undefined }
  await new CancelRequests(realClock).forward([{ ...known, way }], true, 42, '0badcafe')
  assert.equal(server.guests.length, 0)
})

for (const version of ['v1', 'v2'] as const) {
  test(`HAProxy sends us PROXY ${version}, and takes ours: the chain reaches the leader with the client’s own address`, async t => {
    const front = await freePort(host.address, 15_100)
    const inner = await freePort(host.address, 15_200)
    const back = await freePort(host.address, 15_300)
    const pg1 = stand.member('pg1').address
    const send = version === 'v1' ? 'send-proxy' : 'send-proxy-v2'
    const file = host.path(`chain-${version}.cfg`)
    const times = '  timeout connect 2s\n  timeout client 1m\n  timeout server 1m\n'
    await writeFile(
      file,
      `defaults\n  mode tcp\n${times}` +
        `listen front\n  bind ${host.address}:${front}\n  server us ${host.address}:${inner} ${send}\n` +
        // Only the address that the header carries is let in.
        `listen back\n  bind ${host.address}:${back} accept-proxy\n  acl from_client src ${CLIENT}/32\n  tcp-request content reject unless from_client\n  server pg1 ${pg1.host}:${pg1.port}\n`,
    )
    const haproxy = host.server({ name: 'haproxy', command: ['haproxy', '-db', '-f', file] })
    await haproxy.start()
    t.after(() => haproxy.stop())
    const ours = host.path(`chain-${version}.yml`)
    await writeFile(
      ours,
      `scope: pgsql
listeners:
  chain:
    bind: ${host.address}:${inner}
    pool: servers
    fallback: none
    accept_proxy: true
    access: { allow: ['${CLIENT}/32'] }
    send_proxy: ${version}
    servers: { haproxy: { address: '${host.address}:${back}', check: none } }
admin: { bind: '${host.address}:${await freePort(host.address, 17_100)}' }
`,
    )
    const middle = host.server({ name: 'middle', command: [...program, 'proxy', ours] })
    await middle.start()
    t.after(() => middle.stop())
    await waitFor('the chain to answer', { withinMs: 20_000, everyMs: 100 }, async () => {
      const socket = connect({ host: host.address, port: front, localAddress: CLIENT })
      const client = new Watched(socket)
      socket.write(startup({ user: 'postgres', database: 'postgres' }))
      await client.until('ReadyForQuery', () => isReady(client), 2000)
      const answer = await query(client, 'SELECT name FROM who')
      socket.destroy()
      return answer.includes('pg1')
    })
  })
}
