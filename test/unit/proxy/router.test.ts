import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { CutReason } from '../../../src/proxy/cut-reason.ts'
import { ledByPg1, World } from './world.ts'

async function led(t: TestContext, ttlSeconds?: number) {
  const world = await ledByPg1(ttlSeconds)
  t.after(() => world.close())
  return world
}

test('nothing is routed before the store and the server itself have spoken', async t => {
  const world = new World()
  t.after(() => world.close())
  const pg1 = world.member('pg1')
  world.start()
  assert.equal(world.enter(), undefined)
  await world.clock.advance(600)
  world.lead('pg1')
  await world.clock.advance(600)
  assert.equal(world.enter(), undefined)
  assert.match(world.router.explain(), /pg1 is promoting$/)
  world.promote(pg1)
  await world.clock.advance(300)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('reads go to replicas only, and a replica that falls silent leaves within two probes', async t => {
  const world = await led(t)
  const reads = () => world.router.poolBackends('read').map(backend => backend.name)
  assert.deepEqual(reads(), ['pg2', 'pg3'])
  Object.assign(world.scripts.get('pg3') ?? {}, { isSilent: true })
  await world.clock.advance(1500)
  assert.deepEqual(reads(), ['pg2'])
})

test('a key that names another leader cuts at once, and the other waits until its server has left recovery', async t => {
  const world = await led(t)
  const guest = world.enter()
  const pg2 = world.scripts.get('pg2')
  assert.ok(guest !== undefined && pg2 !== undefined)
  world.lead('pg2')
  await world.clock.advance(0)
  assert.equal(guest.cutBecause, 'newer-epoch')
  assert.equal(world.enter(), undefined)
  assert.match(world.router.explain(), /pg1 was replaced; pg2 holds the leader key/)
  await world.clock.advance(100)
  assert.equal(world.enter(), undefined)
  world.promote(pg2)
  await world.clock.advance(300)
  assert.equal(world.enter()?.backend.name, 'pg2')
})

test('a retirement is told with the last session cut, and counts from the event that named another leader', async t => {
  const world = await led(t)
  let tellCut: (() => void) | undefined
  const cut = (_reason: CutReason, _says: string, onCut?: () => void) => {
    tellCut = onCut
    return true
  }
  world.router.writeBackend()?.join({ listener: 'write', hasBegun: true, isIdle: false, cut })
  world.enter()
  world.lead('pg2')
  await world.clock.advance(40)
  assert.deepEqual(world.said('retired'), [])
  assert.equal(world.totals.cut, 2)
  tellCut?.()
  assert.match(
    world.said('retired').join(),
    /^pg1@\d+ is retired, 2 sessions cut in 40 ms: pg2 took over from pg1$/,
  )
  const { facts } = world.events.find(({ kind }) => kind === 'retired') ?? {}
  assert.deepEqual(facts, { sessions_cut: 2, cut_ms: 40 })
  assert.equal(world.totals.lastCutMs, 40)
})

test('a new term of the same member is a new epoch', async t => {
  const world = await led(t)
  const guest = world.enter()
  world.dropKey()
  await world.clock.advance(1)
  assert.equal(guest?.cutBecause, undefined)
  world.lead('pg1')
  await world.clock.advance(1)
  assert.equal(guest?.cutBecause, 'newer-epoch')
  await world.clock.advance(20)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('deletion of the key retires nobody: new sessions wait, old ones live on the own answers', async t => {
  const world = await led(t)
  const guest = world.enter()
  world.dropKey()
  await world.clock.advance(3000)
  assert.equal(world.enter(), undefined)
  assert.equal(guest?.cutBecause, undefined)
  assert.match(
    world.router.explain(),
    /^cluster pgsql has no leader for 3.0 s: pg1 gave the leader key up; nobody/,
  )
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  await world.clock.advance(1100)
  assert.equal(guest?.cutBecause, 'evidence-expired')
})

test('a leader that answers 503 after the key is gone is cut at its answer', async t => {
  const world = await led(t)
  const guest = world.enter()
  world.dropKey()
  Object.assign(world.scripts.get('pg1') ?? {}, { holdsLock: false })
  await world.clock.advance(510)
  assert.equal(guest?.cutBecause, 'evidence-expired')
})

test('a lease that ends takes the leader and its member key: the story says so', async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  world.store.txn(
    [],
    [
      {
        kind: 'put',
        key: 'members/pg1',
        value: '{"conn_url":"postgres://10.0.0.1/"}',
        leaseId: world.leaseId,
      },
    ],
  )
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  await world.clock.advance(4500)
  assert.equal(guest?.cutBecause, undefined)
  await world.clock.advance(1000)
  assert.equal(guest?.cutBecause, 'evidence-expired')
  assert.deepEqual(world.said('leader-key-gone'), ['pg1: its lease ended; new write sessions wait'])
  assert.match(world.router.explain(), /pg1's lease ended; nobody has taken the leader key yet$/)
})

test("while the store is silent the leader's own answers carry the route, and their end cuts it", async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  world.dcs.setFaults({ unreachable: true })
  await world.clock.advance(20_000)
  assert.equal(guest?.cutBecause, undefined)
  assert.equal(world.enter()?.backend.name, 'pg1')
  assert.equal(world.said('store-silent').length, 1)
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  await world.clock.advance(1100)
  assert.equal(guest?.cutBecause, 'evidence-expired')
  assert.match(
    world.router.explain(),
    /nothing proves any more that pg1 leads; .*etcd has not answered for 2\d/,
  )
})

test("an agent's own figure counts as long as it says, also in silence", async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  Object.assign(world.scripts.get('pg1') ?? {}, { leaseLeftMs: 20_000 })
  await world.clock.advance(600)
  world.dcs.setFaults({ unreachable: true })
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  await world.clock.advance(18_500)
  assert.equal(guest?.cutBecause, undefined)
  await world.clock.advance(1500)
  assert.equal(guest?.cutBecause, 'evidence-expired')
})

test('a REST server that hangs cuts nobody while the lease is renewed', async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  Object.assign(world.scripts.get('pg1') ?? {}, { isSilent: true })
  for (let second = 0; second < 30; second += 1) {
    world.store.keepAlive(world.leaseId)
    await world.clock.advance(1000)
  }
  assert.equal(guest?.cutBecause, undefined)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('a leader that re-attaches its key to a new lease loses no session', async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  const { createRevision } = world.router.leadership.epoch ?? {}
  for (let turn = 0; turn < 10; turn += 1) {
    world.lead('pg1', 5)
    await world.clock.advance(2000)
  }
  assert.equal(guest?.cutBecause, undefined)
  assert.equal(world.router.leadership.epoch?.createRevision, createRevision)
})

test('after a pause of the process the gate is shut before any timer has run', async t => {
  const world = await led(t, 5)
  const guest = world.enter()
  world.clock.jump(7000)
  assert.equal(guest?.gate.isOpen(), false)
  assert.equal(world.enter(), undefined)
  await world.clock.advance(1)
  assert.equal(guest?.cutBecause, 'evidence-expired')
})

test('a pause within the evidence costs nothing', async t => {
  const world = await led(t, 30)
  const guest = world.enter()
  world.clock.jump(7000)
  assert.equal(guest?.gate.isOpen(), true)
  await world.clock.advance(2000)
  assert.equal(guest?.cutBecause, undefined)
})

test('a store put back to an older state starts the routing again from nothing', async t => {
  const world = await led(t)
  const before = world.store.snapshot()
  for (let turn = 0; turn < 20; turn += 1) world.putMember('pg3', { timeline: turn })
  await world.clock.advance(100)
  const guest = world.enter()
  world.store.restore(before)
  await world.clock.advance(6000)
  assert.equal(guest?.cutBecause, 'store-restored')
  assert.equal(world.said('store-restored').length, 1)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('another etcd cluster in place of the old one is the new truth', async t => {
  const world = await led(t)
  const guest = world.enter()
  const pg2 = world.scripts.get('pg2')
  assert.ok(pg2 !== undefined)
  const keys = world.store
    .snapshot()
    .keys.map(kv => (kv.key === 'leader' ? { ...kv, value: 'pg2', leaseId: 0n } : kv))
  world.store.restore({ keys, revision: 500n }, '99')
  world.promote(pg2)
  await world.clock.advance(6000)
  assert.equal(guest?.cutBecause, 'store-restored')
  assert.equal(world.enter()?.backend.name, 'pg2')
})

test('a refused connection holds new sessions until the server is heard again', async t => {
  const world = await led(t)
  const guest = world.enter()
  world.router.applyRefusal('pg1')
  assert.equal(world.enter(), undefined)
  assert.equal(guest?.cutBecause, undefined)
  await world.clock.advance(150)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('the failover line waits for the figures of a new leader of ours, and has them', async t => {
  const world = await led(t)
  world.enter()
  world.putMember('pg2', { pgherd: { version: '1', phases: { lock_ms: 99, promote_ms: 999 } } })
  const pg2 = world.scripts.get('pg2')
  assert.ok(pg2 !== undefined)
  await world.clock.advance(480)
  world.lead('pg2')
  await world.clock.advance(200)
  world.promote(pg2, 7)
  world.putMember('pg2', { role: 'primary', pgherd: { version: '1' } })
  await world.clock.advance(10)
  assert.deepEqual(world.said('failover'), [])
  world.putMember('pg2', {
    role: 'primary',
    pgherd: { version: '1', phases: { lock_ms: 5, promote_ms: 180 } },
  })
  await world.clock.advance(10)
  assert.match(
    world.said('failover').join(),
    /^failover to timeline 7: pg1 -> pg2 in 0\.\d\d s \(last good answer to key gone 0\.\d\d, lock 0\.01, promote 0\.18, routed 0\.\d\d\); 1 sessions cut, 0 held$/,
  )
})

test('figures that never come are left out after a while', async t => {
  const world = await led(t)
  const pg2 = world.scripts.get('pg2')
  assert.ok(pg2 !== undefined)
  world.putMember('pg2', { pgherd: { version: '1', phases: { lock_ms: 99, promote_ms: 999 } } })
  world.lead('pg2')
  world.promote(pg2)
  await world.clock.advance(3000)
  const [line = '', ...more] = world.said('failover')
  assert.match(line, /^failover to timeline 2: pg1 -> pg2 in .*routed/)
  assert.doesNotMatch(line, /promote/)
  assert.equal(more.length, 0)
})

test('a member that moves takes new sessions at its new address', async t => {
  const world = await led(t)
  const guest = world.enter()
  world.putMember('pg1', { conn_url: 'postgres://10.9.9.9:6543/postgres' })
  await world.clock.advance(10)
  assert.deepEqual(world.enter()?.backend.address, { host: '10.9.9.9', port: 6543 })
  assert.equal(guest?.cutBecause, undefined)
})

test('a stopped router leaves no timer behind', async () => {
  const world = await ledByPg1()
  await world.close()
  await world.clock.advance(2000)
  assert.equal(world.clock.timers, 0)
})

test('after another cluster took the place of the old one nothing is routed on answers of the old servers', async t => {
  const world = await led(t)
  assert.equal(world.router.poolBackends('read').length, 2)
  const { keys } = world.store.snapshot()
  for (const script of world.scripts.values()) script.isSilent = true
  world.store.restore({ keys, revision: 500n }, '99')
  await world.clock.advance(6000)
  assert.equal(world.said('store-restored').length, 1)
  assert.deepEqual([world.router.poolBackends('read'), world.enter()], [[], undefined])
})

test('a request for a switchover holds new sessions before the old leader goes, and not for ever', async t => {
  const world = await led(t)
  const guest = world.enter()
  const ask = (value: string) => world.store.txn([], [{ kind: 'put', key: 'failover', value }])
  ask('{"leader":"pg1","member":"pg2"}')
  await world.clock.advance(50)
  assert.deepEqual([world.enter(), guest?.cutBecause], [undefined, undefined])
  ask('{}')
  await world.clock.advance(50)
  assert.equal(world.enter()?.backend.name, 'pg1')
  ask('{"leader":"pg1","member":"pg3"}')
  await world.clock.advance(14_000)
  assert.equal(world.enter(), undefined)
  await world.clock.advance(2000)
  assert.equal(world.enter()?.backend.name, 'pg1')
  ask('{"leader":"pg1","member":"pg2","scheduled_at":"2099-01-01T00:00:00+00:00"}')
  await world.clock.advance(50)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('a long drain that the leader’s agent announces holds new sessions until it is over, and not for ever', async t => {
  const world = await led(t)
  const revision = world.router.leadership.epoch?.createRevision
  const value = `{"create_revision":${revision},"drain_ms":8000}`
  world.store.txn([], [{ kind: 'put', key: 'pgherd/closing', value }])
  await world.clock.advance(17_000)
  assert.equal(world.enter(), undefined)
  await world.clock.advance(2_000)
  assert.equal(world.enter()?.backend.name, 'pg1')
})

test('the word of the leader’s own agent that its epoch ends holds new sessions of that epoch alone', async t => {
  const world = await led(t)
  const revision = world.router.leadership.epoch?.createRevision
  const say = (createRevision: bigint | undefined) =>
    world.store.txn(
      [],
      [{ kind: 'put', key: 'pgherd/closing', value: `{"create_revision":${createRevision}}` }],
    )
  say((revision ?? 0n) + 100n)
  await world.clock.advance(50)
  assert.equal(world.enter()?.backend.name, 'pg1')
  say(revision)
  await world.clock.advance(50)
  assert.equal(world.enter(), undefined)
})

test('a switchover that is given up lets new sessions in at once, and the next one holds them again', async t => {
  const world = await led(t)
  const revision = world.router.leadership.epoch?.createRevision
  const value = `{"create_revision":${revision},"drain_ms":5000}`
  const close = () => world.store.txn([], [{ kind: 'put', key: 'pgherd/closing', value }])
  close()
  await world.clock.advance(50)
  assert.equal(world.enter(), undefined)
  world.store.txn([], [{ kind: 'delete', key: 'pgherd/closing' }])
  await world.clock.advance(50)
  assert.equal(world.enter()?.backend.name, 'pg1')
  // The key of a switchover that somebody else's agent gave up may have stayed.
  close()
  await world.clock.advance(16_000)
  assert.equal(world.enter()?.backend.name, 'pg1')
  close()
  await world.clock.advance(50)
  assert.equal(world.enter(), undefined)
})
