// HAProxy 2.6 with the checks of the deployments that we replace, against our REST server: it must believe every answer.

import assert from 'node:assert/strict'
import { chown, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import test, { after } from 'node:test'
import { freePort, LoopbackLayout } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { leaderStatus, replicaStatus } from '../support/agent-status.ts'
import { type RestServer, startRestServer } from '../support/rest-server.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const host = await new LoopbackLayout(work.data, work.logs).host('haproxy')
work.defer(() => host.remove())

/** A member: our REST server, and a server that says its name to whoever connects. */
interface FakeMember {
  readonly name: string
  readonly rest: RestServer
  readonly port: number
}

const members: readonly FakeMember[] = [
  await makeMember('pg1'),
  await makeMember('pg2'),
  await makeMember('pg3'),
]
const [pg1, pg2, pg3] = members
assert.ok(pg1 && pg2 && pg3)
pg2.rest.agent.current = replicaStatus({ name: 'pg2' })
pg3.rest.agent.current = replicaStatus({ name: 'pg3' })

const write = await freePort(host.address, 5000)
const read = await freePort(host.address, 6000)
const both = await freePort(host.address, 6001)
const stats = await freePort(host.address, 7000)
const configFile = host.path('haproxy.cfg')
await writeFile(configFile, haproxyConfig())
await chown(configFile, host.account.uid, host.account.gid)
const haproxy = host.server({ name: 'haproxy', command: ['haproxy', '-db', '-f', configFile] })
await haproxy.start()

async function makeMember(name: string): Promise<FakeMember> {
  const rest = await startRestServer(run => work.defer(run))
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end(name)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  work.defer(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { name, rest, port: address.port }
}

function haproxyConfig(): string {
  const servers = members
    .map(({ name, rest, port }) => `    server ${name} 127.0.0.1:${port} maxconn 100 check port ${rest.port}`)
    .join('\n')
  const checks = `    http-check expect status 200
    default-server inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers}`
  return `defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen stats
    mode http
    bind ${host.address}:${stats}
    stats enable
    stats uri /
listen pgsql
    bind ${host.address}:${write}
    option httpchk
${checks}
listen pgsql_read
    bind ${host.address}:${read}
    option httpchk GET /replica
${checks}
listen pgsql_both
    bind ${host.address}:${both}
    option httpchk
    http-check send meth OPTIONS uri /read-only ver HTTP/1.1 hdr Host pg
${checks}
`
}

/** Names of the members that HAProxy has up, by listener, from its own statistics; `UP 1/2` still takes sessions. */
async function up(listener: string): Promise<readonly string[]> {
  const answer = await fetch(`http://${host.address}:${stats}/;csv`, { signal: AbortSignal.timeout(1_000) })
  const rows = (await answer.text()).split('\n').map(line => line.split(','))
  const status = rows[0]?.indexOf('status') ?? -1
  return rows
    .filter(row => row[0] === listener && row[status]?.startsWith('UP'))
    .map(row => row[1] ?? '')
    .filter(name => name !== 'BACKEND')
}

async function expectUp(listener: string, names: readonly string[]): Promise<void> {
  await waitFor(`${listener} to have ${names.join(', ')} up`, { withinMs: 5_000 }, async note => {
    const found = await up(listener)
    note(found.join(', '))
    return found.join() === names.join()
  })
}

/** The name that a new session gets through a port; undefined when it is turned away. */
function ask(port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect(port, host.address)
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text === '' ? undefined : text))
  })
}

test('HAProxy 2.6 finds the leader by OPTIONS / and the replicas by GET /replica', async () => {
  await expectUp('pgsql', ['pg1'])
  await expectUp('pgsql_read', ['pg2', 'pg3'])
  await expectUp('pgsql_both', ['pg1', 'pg2', 'pg3'])
  assert.equal(await ask(write), 'pg1')
  assert.deepEqual([await ask(read), await ask(read)].sort(), ['pg2', 'pg3'])
})

test('it follows a switchover by the answers alone', async () => {
  pg1.rest.agent.current = replicaStatus({ name: 'pg1' })
  pg3.rest.agent.current = leaderStatus({ name: 'pg3' })
  await expectUp('pgsql', ['pg3'])
  await expectUp('pgsql_read', ['pg1', 'pg2'])
  assert.equal(await ask(write), 'pg3')
})

test('a leader whose lease ran out gets no session any more', async () => {
  pg3.rest.agent.current = leaderStatus({ name: 'pg3', leaseLeftMs: 0 })
  await expectUp('pgsql', [])
  assert.equal(await ask(write), undefined)
})

test('a tag takes a replica out of the reads', async () => {
  pg2.rest.agent.current = replicaStatus({ name: 'pg2', tags: { noloadbalance: true } })
  await expectUp('pgsql_read', ['pg1'])
})
