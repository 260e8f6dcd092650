// A bootstrap that fails or dies on a real member: the scope is not blocked, and nothing that was made is lost.

import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { createCluster } from '../support/fixture.ts'
import { keysOf } from './etcd-keys.ts'
import { readLog } from './refusal.ts'

test('a post_bootstrap that fails ends the agent with code 1, the data kept under another name and the scope free', async t => {
  const { cluster } = await createCluster(t, { etcd: 1, members: 1, proxies: 0 })
  await cluster.etcd.start()
  const pg1 = cluster.member('pg1')
  await pg1.configure({
    bootstrap: { ...((pg1.config.overrides?.['bootstrap'] as object) ?? {}), post_bootstrap: '/bin/false' },
  })
  await pg1.agent.start()
  const { code } = await waitFor('the agent to end', { withinMs: 120_000 }, () => pg1.agent.exit)
  assert.equal(code, 1)
  assert.match(
    (await readLog(pg1)).join('\n'),
    /failed to bootstrap cluster: post_bootstrap failed \(exit code 1\)/,
  )
  assert.deepEqual(
    Object.keys(await keysOf(cluster)).filter(key => !key.startsWith('members/')),
    [],
  )
  assert.deepEqual(await pg1.serverProcesses(), [])
  assert.deepEqual(await readdir(pg1.dataDir), [])
  assert.ok((await stat(path.join(`${pg1.dataDir}.failed`, 'PG_VERSION'))).isFile())

  await pg1.configure()
  await pg1.agent.start()
  await cluster.leader()
  assert.ok((await readdir(`${pg1.dataDir}.failed`)).includes('base'), 'what was set aside stays')
})

test('a claim of the scope that came late, or that a dead process left, is taken up by the member that it names', async t => {
  const { cluster } = await createCluster(t, { etcd: 1, members: 1, proxies: 0 })
  await cluster.etcd.start()
  const pg1 = cluster.member('pg1')
  // As a claim that was applied long after its caller gave it up.
  await cluster.etcd.ctl(['put', `/service/${cluster.scope}/initialize`, ''])
  await cluster.etcd.ctl(['put', `/service/${cluster.scope}/pgherd/claim`, '{"name":"pg1","since":"1"}'])
  await pg1.configure({
    bootstrap: {
      ...((pg1.config.overrides?.['bootstrap'] as object) ?? {}),
      post_bootstrap: '/bin/sleep 600',
    },
  })
  await pg1.agent.start()
  await waitFor('the new server', { withinMs: 120_000 }, () => pg1.query('SELECT 1'))
  assert.equal((await keysOf(cluster))['initialize']?.value, '')
  const left = (await keysOf(cluster))['pgherd/claim']?.value ?? ''
  assert.match(left, /"name":"pg1"/)
  assert.doesNotMatch(left, /"since":"1"/)

  await pg1.agent.kill()
  await pg1.killServer()
  await pg1.configure()
  await pg1.agent.start()
  await cluster.leader()
  const { systemId } = await waitFor('the identity', { withinMs: 30_000 }, async () => {
    const value = (await keysOf(cluster))['initialize']?.value ?? ''
    return /^\d{10,}$/.test(value) ? { systemId: value } : undefined
  })
  assert.equal((await keysOf(cluster))['pgherd/claim'], undefined)
  const [row] = await pg1.query<{ id: string }>(
    'SELECT system_identifier::text AS id FROM pg_control_system()',
  )
  assert.equal(row?.id, systemId)
})
