// Where a cancel request with a key that nobody knows may go: an encrypted session hides its key, and another proxy's session
// is not ours.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { defaultListener } from '../../../src/config/proxy/defaults.ts'
import type { ListenerConfig, ServerOptions } from '../../../src/config/proxy/types.ts'
import type { CheckRule } from '../../../src/health/check-verdict.ts'
import type { Backend, Cuttable } from '../../../src/proxy/backend.ts'
import { Narrator } from '../../../src/proxy/narrator.ts'
import { createPool } from '../../../src/proxy/pool.ts'
import { createSpecs } from '../../../src/proxy/pool-specs.ts'
import { Router } from '../../../src/proxy/router.ts'
import { StaticSource } from '../../../src/proxy/static-source.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { answered, limits, timing } from './facts.ts'
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

test('a replica that left this proxy’s pool gets those of the sessions that another proxy has there', async t => {
  const { world, targets } = await scene(t)
  world.putMember('pg3', { tags: { noloadbalance: true } })
  await world.clock.advance(1000)
  assert.deepEqual(
    world.router.poolBackends('read').map(({ name }) => name),
    ['pg2'],
  )
  assert.deepEqual(targets(read), ['pg2', 'pg3'])
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

const rule: CheckRule = {
  ...timing,
  rise: 1,
  fall: 1,
  roleWhenGood: 'primary',
  accepts: code => code === 200,
}

/** Two servers of a file: a section whose checks say who leads, and one of reads that both are well in. */
function filed(t: TestContext) {
  const clock = new FakeClock()
  const events = { record: () => {} }
  const narrator = new Narrator({
    ...{ clock, events, totals: { cut: 0, held: 0 } },
    storeSilentMs: () => undefined,
    scope: () => 'pgsql',
  })
  const servers = ['pg1', 'pg2'].map((name, index) => ({
    ...{ ...defaultListener.serverDefaults, name, check: { question: { kind: 'tcp' } } },
    ...{ address: { host: `10.0.0.${index + 1}`, port: 5432 }, isDisabled: false, isBackup: false },
  })) as unknown as readonly ServerOptions[]
  const listener: ListenerConfig = {
    ...defaultListener,
    name: 'read',
    pool: 'servers',
    servers,
    binds: [],
    fallback: 'none',
  }
  const router = new Router(
    {
      ...{ clock, narrator, limits, timing, servers, leaderRule: () => rule },
      pools: createSpecs([listener]),
    },
    { onRouted: () => {}, onMembers: () => {}, onCurious: () => {}, onDoubt: () => {} },
  )
  t.after(() => router.stop())
  const source = new StaticSource({
    clock,
    router,
    events,
    servers,
    leaders: ['pg1', 'pg2'],
  })
  void source.run(AbortSignal.abort())
  return {
    clock,
    router,
    /** What the leader's check of a server finds. */
    leads: (name: string, statusCode: number) => {
      router.applyProbe(name, answered({ statusCode, role: 'unknown', sentAtMs: clock.monotonicMs() }))
      source.onProbe()
    },
    /** A check of the section of reads, without a document. */
    reads: (name: string) => {
      const { roleWhenGood: _, ...plain } = rule
      const result = answered({ statusCode: 200, role: 'unknown', sentAtMs: clock.monotonicMs() })
      router.applyCheck('read', name, result, plain)
    },
    targets: () =>
      createPool(listener, router, clock)
        .candidates()
        .map(({ name }) => name),
  }
}

test('a former leader that a section of reads finds well gets none until its own check says that it leads no more', async t => {
  const { clock, leads, reads, targets, router } = filed(t)
  leads('pg1', 200)
  for (const name of ['pg1', 'pg2']) reads(name)
  assert.deepEqual(targets(), ['pg1', 'pg2'])
  await clock.advance(100)
  // Its agent is gone, the other was promoted.
  router.applyProbe('pg1', { kind: 'silent', sentAtMs: clock.monotonicMs(), why: 'nobody listens' })
  leads('pg2', 200)
  assert.equal(router.believedLeader()?.name, 'pg2')
  await clock.advance(100)
  reads('pg1')
  assert.deepEqual(targets(), ['pg2'])
  await clock.advance(100)
  leads('pg1', 503)
  assert.deepEqual(targets(), ['pg1', 'pg2'])
})
