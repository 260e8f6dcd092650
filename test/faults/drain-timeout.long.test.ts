// How long a planned switchover waits for a transaction that is open, by the configuration.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { changeConfig } from '../support/dynamic-config.ts'
import { startCluster } from '../support/fixture.ts'
import { switchOverDuring } from './drain.ts'

const { cluster } = await startCluster({ after }, { etcd: 1, members: 2, proxies: 1 })

test('a switchover waits for an open transaction as long as drain_timeout says, and no longer', async t => {
  await changeConfig(cluster, { pgherd: { drain_timeout: '1min' } })
  const patient = await switchOverDuring(cluster, 8)
  await changeConfig(cluster, { pgherd: { drain_timeout: 1 } })
  const impatient = await switchOverDuring(cluster, 120)
  t.diagnostic(
    `8 s of 1min: ${Math.round(patient.tookMs)} ms; 120 s of 1 s: ${Math.round(impatient.tookMs)} ms`,
  )
  assert.equal(patient.state, undefined, 'the transaction was committed')
  assert.equal(impatient.state, '57P01')
  assert.ok(patient.tookMs > 6_000 && impatient.tookMs < 60_000)
  await changeConfig(cluster, { pgherd: { drain_timeout: null } })
})
