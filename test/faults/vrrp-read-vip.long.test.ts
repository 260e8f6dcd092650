// The seed's read address: three agents, each with the seed's keepalived.conf byte for byte where its author ran keepalived. The
// address lies on a replica, and follows when that one is lost.

import assert from 'node:assert/strict'
import { chown, copyFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createCluster } from '../support/fixture.ts'
import { withCapabilities } from '../support/vip-stage.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed/keepalived-read-vip.conf')
const READ = '192.168.234.211'
const { cluster, network, work } = await createCluster(
  { after },
  {
    network: { subnet: '192.168.234', interfaceName: 'ens33' },
    etcd: 1,
    members: 3,
    proxies: 0,
    // The seed's checks ask 127.0.0.1:8008.
    overrides: { postgresql: { listen: '*:5432' }, restapi: { listen: '0.0.0.0:8008' } },
    dcs: { ttl: 5, loop_wait: 1, retry_timeout: 1, pgherd: { short_ttl: true } },
  },
)
const agents = new Map<string, Server>()

/** An agent as its service starts it: not root, with two capabilities. */
async function start(member: Member): Promise<void> {
  const { host } = member
  const { uid, gid } = host.account
  const file = host.path('keepalived.conf')
  await copyFile(SEED, file)
  await chown(file, uid, gid)
  const words = [...withCapabilities(uid, gid), ...work.program, 'agent', member.configFile, '--vip', file]
  const agent = agents.get(member.name) ?? host.server({ name: 'agent', command: words, privileged: true })
  agents.set(member.name, agent)
  await agent.start()
}

async function holders(): Promise<readonly string[]> {
  const show = ['ip', '-br', 'address', 'show', 'dev', 'ens33']
  const texts = await Promise.all(
    cluster.members.map(({ host }) => network.inside(host, show).catch(() => '')),
  )
  return cluster.members.filter((_, index) => texts[index]?.includes(` ${READ}/`)).map(({ name }) => name)
}

async function heldBy(isWanted: (name: string) => boolean): Promise<string> {
  let names: readonly string[] = []
  await waitFor(`${READ} on a replica`, { withinMs: 90_000, everyMs: 100 }, async note => {
    names = await holders()
    note(names.join(', ') || 'nobody')
    return names.length === 1 && isWanted(names[0] ?? '')
  })
  return names[0] ?? ''
}

test('the read address lies on a replica, never on the leader', async () => {
  await cluster.etcd.start()
  for (const member of cluster.members) await start(member)
  const leader = await cluster.leader({ withinMs: 120_000 })
  await heldBy(name => name !== leader.name)
})

test('the replica’s host is lost: the other replica has the address', async t => {
  const leader = await cluster.leader()
  const [lost = ''] = await holders()
  const member = cluster.members.find(({ name }) => name === lost)
  assert.ok(member)
  const beganMs = performance.now()
  await member.host.kill()
  await heldBy(name => name !== lost && name !== leader.name)
  t.diagnostic(`moved within ${Math.round(performance.now() - beganMs)} ms`)
})
