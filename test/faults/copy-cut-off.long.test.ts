// A copy from a host that vanishes without a word: nobody tells pg_basebackup, which only reads.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'

/** So that the test is over sooner; without words of ours or of the operator it would be two hours. */
const patience = { keepalives_idle: 5, keepalives_interval: 2, keepalives_count: 3, tcp_user_timeout: 11_000 }

const { cluster, network } = await startCluster(
  { after },
  {
    network: true,
    etcd: 3,
    members: 3,
    proxies: 0,
    overrides: {
      postgresql: {
        basebackup: { checkpoint: 'fast', 'max-rate': '1M' },
        authentication: { replication: patience },
      },
    },
  },
)

test('a copy whose source vanishes is given up, and begins again from the next leader', async t => {
  const old = await cluster.leader()
  const [copying, heir] = await cluster.replicas()
  assert.ok(copying !== undefined && heir !== undefined)
  const { code } = await copying.rest('/reinitialize', { method: 'POST', body: '{}' })
  assert.equal(code, 200)
  await waitFor('a part of the copy', { withinMs: 60_000, everyMs: 200 }, async note => {
    const { clone } = (await copying.status())['pgherd'] as { readonly clone?: { readonly percent: number } }
    note(JSON.stringify(clone))
    return clone !== undefined && clone.percent >= 5
  })
  const cutMs = performance.now()
  await network.unplug(old.host)
  const leader = await cluster.leader({ not: [old] })
  assert.equal(leader.name, heir.name)
  t.diagnostic(`another one leads after ${Math.round(performance.now() - cutMs)} ms`)
  await waitFor('the copy to be streaming', { withinMs: 180_000 }, async note => {
    const { state, replication_state: stream } = await copying.status()
    note(`${state} ${stream}`)
    return state === 'running' && stream === 'streaming'
  })
  t.diagnostic(`streaming after ${Math.round(performance.now() - cutMs)} ms`)
  await network.plug(old.host)
  await cluster.complete()
})
