// Two proxies in front of one cluster, as behind one address: a cancel request comes to the one that does not know the
// session. And HAProxy as a peer of the PROXY header, in both directions.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import test, { after } from 'node:test'
import { freePort } from '../../src/demo/loopback.ts'
import { proxyOn } from '../../src/demo/router.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { CancelKeys, forwardCancel } from '../../src/proxy/cancel.ts'
import { startup } from '../unit/proxy/bytes.ts'
import { Stand } from './proxy-rig.ts'
import { cancelsStatement, isReady, login, loginTls, query, Stage, Watched } from './proxy-wire.ts'

const stand = await Stand.open({ after })
const host = await stand.layout.host('proxy2')
stand.work.defer(() => host.remove())
const other = await proxyOn(host, { scope: 'pgsql', etcd: stand.etcd.endpoints, program: stand.work.program })
await other.server.start()
await other.ready()
await stand.settle()

/** Where the client of the chain connects from: an address that no proxy of the chain has. */
const CLIENT = '127.0.0.99'

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
  await forwardCancel(realClock, [{ ...known, way }], 42, '0badcafe')
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
    const middle = host.server({ name: 'middle', command: [...stand.work.program, 'proxy', ours] })
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
