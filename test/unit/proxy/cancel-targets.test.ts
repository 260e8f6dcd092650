// Where a cancel request with a key that nobody knows may go: an encrypted session hides its key, and another proxy's session
// is not ours.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { defaultListener } from '../../../src/config/proxy/defaults.ts'
import type { ListenerConfig } from '../../../src/config/proxy/types.ts'
import type { Backend, Cuttable } from '../../../src/proxy/backend.ts'
import { createPool } from '../../../src/proxy/pool.ts'
import { ledByPg1 } from './world.ts'

async function scene(t: TestContext) {
  const world = await ledByPg1()
  t.after(() => world.close())
  const targets = (changes: Partial<ListenerConfig>) =>
    createPool(
      { ...defaultListener, binds: [], fallback: 'none', ...changes } as ListenerConfig,
      world.router,
      world.clock,
    )
      .candidates()
      .map(({ name }) => name)
  return { world, targets }
}

const write = { name: 'write', pool: 'leader' } as const
const read = { name: 'read', pool: 'replica' } as const

/** A session of the read port that stays where it is. */
function reader(backend: Backend): Cuttable {
  const session = { listener: 'read', hasBegun: true, isIdle: false, cut: () => false }
  backend.join(session)
  return session
}

test('a leader that takes no new sessions gets the cancel requests of those that it has', async t => {
  const { world, targets } = await scene(t)
  assert.deepEqual(targets(write), ['pg1'])
  world.dropKey()
  await world.clock.advance(1)
  assert.equal(world.router.writeBackend(), undefined)
  assert.deepEqual(targets(write), ['pg1'])
  assert.deepEqual(targets({ ...read, fallback: 'leader' }), ['pg2', 'pg3', 'pg1'])
})

test('a leader that nothing proves any more gets none', async t => {
  const { world, targets } = await scene(t)
  world.dropKey()
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  await world.clock.advance(3000)
  assert.deepEqual(targets(write), [])
})

test('a leader that was replaced gets none', async t => {
  const { world, targets } = await scene(t)
  world.lead('pg2')
  await world.clock.advance(1)
  assert.ok(!targets(write).includes('pg1'))
  assert.ok(!targets({ ...read, fallback: 'leader' }).includes('pg1'))
})

test('a replica that left the pool gets those of the sessions that it still has', async t => {
  const { world, targets } = await scene(t)
  const backend = world.router.backends.get('pg3')
  assert.ok(backend)
  const session = reader(backend)
  Object.assign(world.scripts.get('pg3') ?? {}, { isSilent: true })
  await world.clock.advance(2000)
  assert.deepEqual(
    world.router.poolBackends('read').map(({ name }) => name),
    ['pg2'],
  )
  assert.deepEqual(targets(read), ['pg2', 'pg3'])
  backend.leave(session)
  assert.deepEqual(targets(read), ['pg2'])
})

test('a former leader with sessions of the read port gets none until it says that it is a replica', async t => {
  const { world, targets } = await scene(t)
  const backend = world.router.backends.get('pg1')
  assert.ok(backend)
  world.lead('pg2')
  await world.clock.advance(1)
  reader(backend)
  assert.ok(!targets(read).includes('pg1'))
})
