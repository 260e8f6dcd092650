// The images' entry points and the compose file, without an engine: each service runs in a network namespace with the
// root directory that its container would have, by the command, the environment and the health check of compose.yaml.

import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { asAccount } from '../../src/demo/account.ts'
import type { Host } from '../../src/demo/host.ts'
import type { Server, ServerSpec } from '../../src/demo/server.ts'
import { queryOnce, type SqlTarget } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { DOCKER, readCompose, readStages, type Service, wordsOf } from './docker/compose.ts'
import { asContainer } from './docker/root.ts'

const PASSWORDS = {
  PGHERD_SUPERUSER_PASSWORD: 'first secret',
  PGHERD_REPLICATION_PASSWORD: 'second secret',
  PGHERD_REWIND_PASSWORD: 'third secret',
}
const READY_WITHIN_MS = 90_000

const work = await makeWorkplace({ after })
const network = await Network.create(work)
const compose = await readCompose(PASSWORDS)
const stages = await readStages()
const files = path.join(work.data, 'docker')

interface Container {
  readonly host: Host
  readonly service: Service
  readonly server: Server
}

const containers = new Map<string, Container>()

before(async () => {
  await cp(DOCKER, files, { recursive: true })
  const hosts = []
  for (const name of Object.keys(compose.services)) hosts.push(await network.host(name))
  const names = hosts.map(host => `${host.address} ${host.name}\n`).join('')
  await writeFile(path.join(files, 'hosts'), `127.0.0.1 localhost\n${names}`)
  for (const plain of hosts) {
    const service = compose.services[plain.name]
    assert.ok(service)
    const host = await asContainer(plain, work, files)
    containers.set(plain.name, { host, service, server: host.server(firstProcess(plain.name, service)) })
  }
  await Promise.all([...containers.values()].map(({ server }) => server.start()))
})

/** What an engine would start; tini is not on every machine, and here nobody needs it. */
function firstProcess(name: string, service: Service): ServerSpec {
  const stage = stages.find(each => each.name === service.build.target)
  assert.ok(stage, `${name}: no stage ${service.build.target}`)
  const entry = wordsOf(stage, 'ENTRYPOINT').filter(word => word !== 'tini' && word !== '--')
  const command = [...entry, ...(service.command ?? wordsOf(stage, 'CMD'))]
  return { name, command, env: environment(service) }
}

function environment(service: Service): Readonly<Record<string, string>> {
  const image = { PATRONICTL_CONFIG_FILE: '/etc/pgherd/patroni.yml', ETCDCTL_API: '3' }
  return { ...service.environment, ...image, PATH: `/opt/pgherd/bin:${process.env['PATH']}:/usr/sbin` }
}

function container(name: string): Container {
  const found = containers.get(name)
  assert.ok(found, `no service ${name}`)
  return found
}

/** As `docker compose exec` does; rejects when the command fails. */
function execute(name: string, words: readonly string[]): Promise<string> {
  const { host, service } = container(name)
  const variables = Object.entries(environment(service)).map(([key, value]) => `${key}=${value}`)
  return network.inside(host, [...asAccount(host.account), 'env', ...variables, ...words])
}

/** Where somebody outside would connect: the published port leads to this one. */
function published(name: string, port: number): SqlTarget {
  const { host, service } = container(name)
  assert.ok(
    service.ports?.some(entry => entry.endsWith(`:${port}`)),
    `${name} does not publish ${port}`,
  )
  return { host: host.address, port, user: 'postgres', password: PASSWORDS.PGHERD_SUPERUSER_PASSWORD }
}

async function isStandby(target: SqlTarget): Promise<boolean | undefined> {
  const [row] = await queryOnce<{ standby: boolean }>(target, 'SELECT pg_is_in_recovery() AS standby')
  return row?.standby
}

test('every service of the compose file gets ready by its own health check', async () => {
  for (const { host, service } of containers.values()) {
    const [kind, ...words] = service.healthcheck.test
    assert.equal(kind, 'CMD')
    await waitFor(`${host.name} to be healthy`, { withinMs: READY_WITHIN_MS, everyMs: 500 }, async () => {
      await execute(host.name, words)
      return true
    })
  }
})

test('through both proxies writes reach the leader and reads the replicas', async () => {
  for (const name of ['proxy1', 'proxy2']) {
    await waitFor(`reads through ${name}`, { withinMs: READY_WITHIN_MS, everyMs: 200 }, async note => {
      const seen = [await isStandby(published(name, 5000)), await isStandby(published(name, 6000))]
      note(seen.join(' '))
      return seen[0] === false && seen[1] === true
    })
  }
  await queryOnce(published('proxy1', 5000), 'CREATE TABLE t AS SELECT 42 AS answer')
  const [row] = await queryOnce<{ answer: number }>(published('proxy2', 5000), 'SELECT answer FROM t')
  assert.equal(row?.answer, 42)
})

test('pgherdctl in a container finds its cluster without arguments', async () => {
  const text = await execute('pg2', ['/entrypoint.sh', 'ctl', 'list'])
  for (const name of ['pg1', 'pg2', 'pg3']) assert.match(text, new RegExp(`\\| ${name} `))
  assert.match(text, /\| Leader +\| running /)
})

test('a password may come from a file', async () => {
  const { host } = container('pg1')
  const file = host.path('password')
  await writeFile(file, 'from a file\n', { mode: 0o644 })
  const script =
    'env -u PATRONI_SUPERUSER_PASSWORD PATRONI_SUPERUSER_PASSWORD_FILE="$1" PATH="$2:$PATH" /entrypoint.sh agent'
  const stand = path.join(files, 'stand-in')
  await cp(path.join(import.meta.dirname, 'docker/stand-in.sh'), path.join(stand, 'node'))
  const text = await execute('pg1', ['sh', '-c', script, 'sh', file, stand])
  assert.match(text, /^PATRONI_SUPERUSER_PASSWORD=from a file$/m)
  assert.match(text, /^arguments: .*\/opt\/pgherd\/dist\/main\.js agent \/etc\/pgherd\/patroni\.yml$/m)
})

test('a container without a name or with a foreign volume says what to change', async () => {
  const nameless = execute('pg1', ['env', '-u', 'PATRONI_NAME', '/entrypoint.sh', 'agent'])
  await assert.rejects(nameless, /PATRONI_NAME is not set: give this member a name/)
  const { host } = container('proxy1')
  await network.inside(host, ['chown', '0:0', '/var/lib/pgherd']).catch(() => {})
  await network.inside(host, ['chmod', '0500', '/var/lib/pgherd'])
  const closed = execute('proxy1', ['env', 'PATRONI_NAME=pg9', '/entrypoint.sh', 'agent'])
  await assert.rejects(closed, /cannot write to \/var\/lib\/pgherd: make the volume belong to uid \d+/)
})

test('stopped as an engine stops it, every container ends with exit code 0', async () => {
  for (const name of ['proxy1', 'proxy2', 'pg3', 'pg2', 'pg1']) {
    const exit = await container(name).server.stop(30_000)
    assert.deepEqual(exit, { code: 0, signal: undefined }, name)
  }
  const left = await Promise.all(['pg1', 'pg2', 'pg3'].map(name => container(name).host.processes()))
  assert.deepEqual(left.flat(), [])
})

test('nothing of the checkout is secret, and the example names every variable of the compose file', async () => {
  await assert.rejects(readCompose({}), /PGHERD_SUPERUSER_PASSWORD: choose a password/)
  const example = await readFile(path.join(DOCKER, '.env.example'), 'utf8')
  assert.deepEqual(
    [...example.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    Object.keys(PASSWORDS).map(name => [name, '']),
  )
})
