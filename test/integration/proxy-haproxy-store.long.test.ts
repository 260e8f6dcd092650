// A haproxy.cfg beside etcd: its sections, weights and marks, and the members and the leader of the store. Real servers, whose
// names in the file are not those of the members.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { freePort } from '../../src/demo/loopback.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Stand } from './proxy-rig.ts'
import { login, query, sqlStateOf } from './proxy-wire.ts'

const stand = await Stand.open({ after }, { proxy: { on_dcs_loss: 'close' } })
const host = await stand.layout.host('haproxy1')
after(() => host.remove())

/** A server line for a member, under another name. */
function server(name: string, member: string, more = ''): string {
  const { address, restPort } = stand.member(member)
  return `  server ${name} ${address.host}:${address.port} check port ${restPort} ${more}`
}

const ports = new Map<string, number>()
/** Every free port is asked for once. */
async function section(name: string, check: string, ...servers: readonly string[]): Promise<string> {
  const port = await freePort(host.address, 6100 + ports.size)
  ports.set(name, port)
  return [`listen ${name}`, `  bind ${host.address}:${port}`, `  ${check}`, ...servers, ''].join('\n')
}

const READS = 'option httpchk GET /replica'
const file = [
  'defaults\n  mode tcp\n  timeout connect 4s\n  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions\n',
  await section(
    'writes',
    'option httpchk GET /primary',
    server('alpha', 'pg1'),
    server('beta', 'pg2'),
    server('gamma', 'pg3'),
  ),
  await section(
    'disabled',
    READS,
    server('alpha', 'pg1'),
    server('pg3', 'pg2', 'disabled'),
    server('pg2', 'pg3'),
  ),
  await section(
    'backup',
    READS,
    server('alpha', 'pg1'),
    server('pg3', 'pg2', 'backup'),
    server('pg2', 'pg3'),
  ),
  await section('last', READS, server('beta', 'pg2'), server('alpha', 'pg1', 'no-check backup')),
  await section(
    'own',
    'option tcp-check',
    `  server pg1 ${stand.member('pg2').address.host}:${stand.member('pg2').address.port} check inter 500ms`,
  ),
].join('\n')
await writeFile(host.path('haproxy.cfg'), file)
const members = { scope: 'pgsql', namespace: '/service/', etcd3: { hosts: [...stand.etcd.endpoints] } }
await writeFile(host.path('members.yml'), stringify(members))
const proxy = host.server({
  name: 'haproxy',
  command: [
    ...stand.work.program,
    'proxy',
    '-f',
    host.path('haproxy.cfg'),
    '--etcd',
    host.path('members.yml'),
  ],
})
await proxy.start()
await stand.settle()

/** Which server answers on a port of the file; what went wrong when none does. */
async function who(name: string): Promise<string> {
  const target = { host: host.address, port: ports.get(name) ?? 0, user: 'postgres', password: '' }
  const rows = await queryOnce<{ name: string }>(target, 'SELECT name FROM who').catch(String)
  return typeof rows === 'string' ? rows : (rows[0]?.name ?? 'nobody')
}

async function leadsTo(name: string, ...wanted: readonly string[]): Promise<void> {
  await waitFor(`section ${name} to lead to ${wanted.join()}`, { withinMs: 20_000 }, async note => {
    const seen = new Set([await who(name), await who(name), await who(name)])
    note([...seen].join())
    return [...seen].sort().join() === wanted.join()
  })
}

/** No replica but those named serves reads. */
function onlyReads(...names: readonly string[]): void {
  for (const member of stand.members)
    member.script.tags = names.includes(member.name) ? {} : { noloadbalance: true }
}

test('writes go to the leader of the store, by the address that it tells there', async () => {
  await leadsTo('writes', 'pg1')
})

test('disabled and backup count for the server at that address, whatever the file calls it', async () => {
  await leadsTo('disabled', 'pg3')
  await leadsTo('backup', 'pg3')
  onlyReads('pg2')
  await leadsTo('backup', 'pg2')
  assert.match(await who('disabled'), /terminated|closed|reset/i)
  onlyReads('pg2', 'pg3')
  await leadsTo('backup', 'pg3')
  await leadsTo('disabled', 'pg3')
})

test('the leader as a backup serves reads while no replica does', async () => {
  await leadsTo('last', 'pg2', 'pg3')
  onlyReads()
  stand.member('pg1').script.tags = {}
  await leadsTo('last', 'pg1')
  onlyReads('pg2', 'pg3')
  await leadsTo('last', 'pg2', 'pg3')
})

test('a section whose check no member has a word for goes to its own servers, beside a store, too', async () => {
  await leadsTo('own', 'pg2')
})

test('a change of leader reaches the file’s write port at once', async () => {
  const session = await login({ host: host.address, port: ports.get('writes') ?? 0 })
  stand.member('pg1').follow()
  stand.member('pg2').lead(2)
  await stand.lead('pg2', 5)
  await session.untilEnd()
  assert.equal(sqlStateOf(session.text), '57P01')
  await leadsTo('writes', 'pg2')
})

test('without etcd on_dcs_loss: close ends write sessions with the lease, and keep goes on by the leader’s own word', async () => {
  await stand.routed('pg2')
  const closing = await login(stand.write)
  const kept = await login({ host: host.address, port: ports.get('writes') ?? 0 })
  for (const member of stand.etcd.members) await member.server.kill()
  await closing.untilEnd()
  assert.equal(sqlStateOf(closing.text), '57P01')
  await sleep(1000)
  assert.match(await query(kept, 'SELECT name FROM who'), /pg2/)
  assert.equal(kept.ends, 0)
  kept.socket.destroy()
})
