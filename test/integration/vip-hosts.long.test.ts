// A virtual IP that etcd elects, and faults of whole hosts and of etcd.

import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { VipStage } from '../support/vip-stage.ts'
import { assertNeverTwo, HOST_LOST_MS, takeover } from '../support/vip-takeover.ts'

const stage = await VipStage.open({ after })
await Promise.all(stage.holders.map(({ server }) => server.start()))
await stage.settle()

test('every process of the owner’s host frozen, the kernel removes the address', async t => {
  const { owner, beganMs } = await takeover(t, stage, HOST_LOST_MS, ({ host }) => host.freeze())
  await owner.host.thaw()
  await stage.settle()
  assertNeverTwo(stage, beganMs)
})

test('the owner’s cable pulled, another host takes over, and the old one holds nothing when it is back', async t => {
  const { owner, beganMs } = await takeover(t, stage, HOST_LOST_MS, ({ host }) => stage.network.unplug(host))
  await stage.network.plug(owner.host)
  await stage.settle()
  assertNeverTwo(stage, beganMs)
})

test('without etcd the owner drops the address before its lease ends, and somebody has it afterwards', async t => {
  const [member] = stage.etcd.members
  const beganMs = Date.now()
  await member?.server.freeze()
  await waitFor(
    'nobody to hold the address',
    { withinMs: 10_000, everyMs: 20 },
    async () => (await stage.holding()).length === 0,
  )
  t.diagnostic(`dropped ${Date.now() - beganMs} ms after etcd fell silent`)
  member?.server.thaw()
  await stage.settle()
  assertNeverTwo(stage, beganMs)
})
