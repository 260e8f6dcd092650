// A virtual IP that etcd elects, between three hosts on a switch of the test's own: who holds it, how fast it moves, and that
// never two hosts answer for it.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { VIP, VipStage } from '../support/vip-stage.ts'
import { assertNeverTwo, FROZEN_MS, GRACEFUL_MS, KILLED_MS, takeover } from '../support/vip-takeover.ts'

const stage = await VipStage.open({ after })

test('the candidate with the highest priority owns the address, and the others wait', async () => {
  await Promise.all(stage.holders.map(({ server }) => server.start()))
  await stage.settle()
  const owner = await stage.owner()
  for (const { name } of stage.holders) assert.equal((await stage.status(name))?.['owner'], owner.name)
  // Which of the three was there first is not ours to say; who is asked to leave is followed by the better of the others.
  await owner.server.stop()
  const heir = await stage.heirOf(owner, Date.now())
  const [first] = stage.holders.filter(({ name }) => name !== owner.name)
  assert.equal(heir.name, first?.name)
  await owner.server.start()
  await stage.settle()
})

test('a graceful stop hands the address over, and the client’s neighbour table follows', async t => {
  const { owner, heir, beganMs } = await takeover(t, stage, GRACEFUL_MS, ({ server }) => server.stop())
  assertNeverTwo(stage, beganMs)
  const neighbours = await stage.network.inside(stage.client, ['ip', 'neigh', 'show', VIP])
  assert.match(neighbours, new RegExp(heir.mac))
  const announced = stage.sights.filter(
    ({ kind, atMs, mac }) => kind === 'announcement' && atMs > beganMs && mac === heir.mac,
  )
  assert.ok(announced.length >= 2)
  await owner.server.start()
  await stage.settle()
})

test('the owner’s process killed, its guard removes the address and lets the next one take it', async t => {
  const { owner, beganMs } = await takeover(t, stage, KILLED_MS, ({ server }) => server.kill())
  assertNeverTwo(stage, beganMs)
  await owner.server.start()
  await stage.settle()
})

test('the owner frozen, its guard removes the address; thawed, it holds nothing', async t => {
  const { owner, beganMs } = await takeover(t, stage, FROZEN_MS, ({ server }) => server.freeze())
  owner.server.thaw()
  await stage.settle()
  assertNeverTwo(stage, beganMs)
})
