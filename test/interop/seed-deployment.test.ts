// The deployment of the seed article with its own files: addresses, paths, locale, interface and passwords as their
// author wrote them, three of our agents and our proxy where the article has Patroni and HAProxy.

import assert from 'node:assert/strict'
import { chown, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { asAccount } from '../../src/demo/account.ts'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { withOwnRoot } from '../support/own-root.ts'
import { makeWorkplace } from '../support/workplace.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed')
const addresses = { pg1: 201, pg2: 202, pg3: 203, etcd1: 204, haproxy1: 205 }

const work = await makeWorkplace({ after })
const network = await Network.create(work, { subnet: '192.168.234', addresses, interfaceName: 'ens33' })
const etcd = await EtcdCluster.create(network, 1)
await etcd.start()
const node4 = etcd.members[0]?.host as Host

const members: { readonly host: Host; readonly agent: Server }[] = []
for (const name of ['pg1', 'pg2', 'pg3'] as const) {
  const host = await withOwnRoot(await network.host(name), work, 'zh_CN.UTF-8')
  const file = await seedFile(host, name)
  members.push({ host, agent: host.server({ name: 'agent', command: [...work.program, 'agent', file] }) })
}

/** The author's patroni.yml with the three values changed that differ from node to node. */
async function seedFile(host: Host, name: 'pg1' | 'pg2' | 'pg3'): Promise<string> {
  const text = await readFile(path.join(SEED, 'patroni.yml'), 'utf8')
  const file = host.path('patroni.yml')
  await writeFile(
    file,
    text
      .replace('name: pg1', `name: ${name}`)
      .replace('connect_address: 192.168.234.201:8008', `connect_address: ${host.address}:8008`)
      .replace('connect_address: 192.168.234.201:5432', `connect_address: ${host.address}:5432`),
  )
  await chown(file, host.account.uid, host.account.gid)
  return file
}

async function startMembers(): Promise<void> {
  const [first, ...others] = members
  await first?.agent.start()
  await answers(members[0]?.host, '/primary', 120_000)
  await Promise.all(others.map(({ agent }) => agent.start()))
  for (const { host } of others) await answers(host, '/replica', 120_000)
}

async function answers(host: Host | undefined, target: string, withinMs: number): Promise<void> {
  await waitFor(`${host?.name} to answer 200 on ${target}`, { withinMs, everyMs: 200 }, async note => {
    const response = await fetch(`http://${host?.address}:8008${target}`, {
      signal: AbortSignal.timeout(5_000),
    })
    note(`${response.status} ${await response.text()}`)
    return response.ok
  })
}

async function startProxy(): Promise<void> {
  const host = await network.host('haproxy1')
  await network.inside(host, ['ip', 'address', 'add', '192.168.234.210/32', 'dev', 'ens33'])
  const file = host.path('proxy.yml')
  await writeFile(file, 'scope: pgsql\nnamespace: /service/\netcd: { hosts: ["192.168.234.204:2379"] }\n')
  await chown(file, host.account.uid, host.account.gid)
  await host.server({ name: 'proxy', command: [...work.program, 'proxy', file] }).start()
  await waitFor('the proxy to know all members', { withinMs: 60_000 }, async note => {
    const rows = [await psql(5000), await psql(6000), await psql(6000)]
    note(rows.join('\n'))
    return new Set(rows).size === 3
  })
}

/** The article's own command line, as its author typed it on node4. */
async function psql(port: number): Promise<string> {
  const command = `psql "host=192.168.234.210 port=${port} password=123456" -c 'select inet_server_addr(),pg_is_in_recovery()'`
  const environment = ['env', 'PGUSER=postgres', 'PGCONNECT_TIMEOUT=5', `HOME=${node4.directory}`]
  return network.inside(node4, [...asAccount(node4.account), ...environment, 'sh', '-c', command])
}

function answer(address: string, isInRecovery: 't' | 'f'): string {
  return [
    ' inet_server_addr | pg_is_in_recovery ',
    '------------------+-------------------',
    ` ${address}  | ${isInRecovery}`,
    '(1 row)',
    '',
    '',
  ].join('\n')
}

test('the seed’s patroni.yml with three values changed makes a cluster of three', async () => {
  await startMembers()
})

test('the seed’s three psql calls give its answers, the reads in rotation', async () => {
  await startProxy()
  const primary = '192.168.234.201'
  const replicas = ['192.168.234.202', '192.168.234.203']
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await psql(5000), answer(primary, 'f'))
    const reads = [await psql(6000), await psql(6000)].sort()
    assert.deepEqual(
      reads,
      replicas.map(address => answer(address, 't')),
    )
  }
})

test('the locale and the parameters of the seed are in force', async () => {
  const query = (sql: string) =>
    network.inside(node4, [
      ...asAccount(node4.account),
      ...['env', 'PGUSER=postgres', 'PGPASSWORD=123456', 'PGDATABASE=postgres'],
      ...['psql', '-h', '192.168.234.210', '-p', '5000', '-At', '-c', sql],
    ])
  assert.equal((await query('show lc_ctype')).trim(), 'zh_CN.UTF-8')
  assert.equal((await query('show wal_level')).trim(), 'logical')
  assert.equal((await query('show data_checksums')).trim(), 'on')
  assert.equal(
    (await query("select setting || unit from pg_settings where name = 'wal_keep_size'")).trim(),
    '1600MB',
  )
})

test('one clear warning says that the seed’s etcd section is spoken to with the v3 protocol', async () => {
  const log = await readFile(members[0]?.agent.logFile ?? '', 'utf8')
  const warnings = log
    .split('\n')
    .filter(line => line.includes('WARNING') && line.includes('the etcd v3 API'))
  assert.equal(warnings.length, 1, warnings.join('\n'))
})

test('the leader’s host killed: the reads of the seed go on and the writes come back', async () => {
  await members[0]?.host.kill()
  await waitFor('writes to come back', { withinMs: 60_000, everyMs: 500 }, async note => {
    const text = await psql(5000).catch(error => String(error))
    note(text)
    return /192\.168\.234\.20[23] +\| f/.test(text)
  })
  // Until the proxy has heard of the new leader's promotion and of the other's timeline, the leader may serve the reads.
  await waitFor('the other replica to serve the reads', { withinMs: 60_000, everyMs: 500 }, async note => {
    const text = await psql(6000).catch(error => String(error))
    note(text)
    return /192\.168\.234\.20[23] +\| t/.test(text)
  })
})
