// promote-cluster and demote-cluster: what they ask, what they write, and when they say that it is done.

import assert from 'node:assert/strict'
import test from 'node:test'
import { demoteCluster, promoteCluster } from '../../../src/ctl/cluster-role.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const none = { host: undefined, port: undefined, restoreCommand: undefined, primarySlotName: undefined }
const standby = { config: '{"ttl":30,"loop_wait":1,"standby_cluster":{"host":"10.9.0.1"}}' }
const memberIs = (role: string) =>
  `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","role":"${role}"}`

test('demote-cluster asks, writes the section through the leader and waits for the standby leader', async () => {
  const { context, terminal, calls, dcs, clock } = await ctlScene(['y'], { code: 200, text: '{}' })
  const running = demoteCluster(context, undefined, { ...none, host: '10.9.0.1', port: '5433', force: false })
  await dcs.write(
    [],
    [{ kind: 'put', key: 'members/pg1', value: memberIs('standby_leader') }],
    Deadline.in(clock, 1_000),
  )
  await clock.advance(1_000)
  await running
  assert.match(terminal.printed, /Are you sure you want to demote main cluster\? \[y\/N\]: y/)
  assert.match(terminal.printed, /Success: the leader is a standby leader now/)
  assert.deepEqual(
    calls.map(({ method, endpoint, body }) => [method, endpoint, body]),
    [['PATCH', 'config', { standby_cluster: { host: '10.9.0.1', port: 5433 } }]],
  )
})

test('promote-cluster takes the section away', async () => {
  const changes = { ...standby, 'members/pg1': memberIs('primary') }
  const { context, terminal, calls } = await ctlScene([], { code: 200, text: '{}' }, changes)
  await promoteCluster(context, undefined, { force: true })
  assert.deepEqual(calls[0]?.body, { standby_cluster: null })
  assert.match(terminal.printed, / Standby cluster of: 10\.9\.0\.1\n/)
  assert.match(terminal.printed, /Success: the leader is a primary now/)
})

test('what stands in the way is said before anything is written', async () => {
  const here = await ctlScene([])
  await assert.rejects(
    promoteCluster(here.context, undefined, { force: true }),
    /already in the required state/,
  )
  await assert.rejects(
    demoteCluster(here.context, undefined, { ...none, primarySlotName: 's', force: true }),
    /At least --host, --port or --restore-command/,
  )
  const there = await ctlScene(['n'], undefined, standby)
  await assert.rejects(
    demoteCluster(there.context, undefined, { ...none, host: 'a', force: true }),
    /already in the required state/,
  )
  await assert.rejects(promoteCluster(there.context, undefined, { force: false }), /Aborted cluster promote/)
  const refused = await ctlScene([], { code: 503, text: 'no' }, standby)
  await assert.rejects(
    promoteCluster(refused.context, undefined, { force: true }),
    /Failed to promote the cluster: status code=503, \(no\)/,
  )
  assert.equal(here.calls.length + there.calls.length, 0)
})
