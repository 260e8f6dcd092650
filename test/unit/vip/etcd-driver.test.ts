// Candidates of one virtual IP on a store and keepers in memory.

import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { EtcdDriver } from '../../../src/vip/etcd-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { MemoryKeeper } from './vrrp/rig.ts'

const OWNER_KEY = 'pgherd/vip/write'

interface Candidate {
  readonly driver: EtcdDriver
  readonly keeper: MemoryKeeper
  readonly dcs: MemoryDcs
}

async function world() {
  const clock = new FakeClock()
  const store = new MemoryStore({ clock })
  const candidate = async (id: string, priority: number): Promise<Candidate> => {
    const keeper = new MemoryKeeper(clock)
    const dcs = new MemoryDcs(store)
    const say = () => {}
    const log = { debug: say, info: say, warning: say, error: say, critical: say, with: () => log }
    const names = { kind: 'etcd', name: 'write', self: id, id } as const
    const driver = new EtcdDriver({
      ...{ clock, log, dcs, keeper, ...names },
      ...{ ttlSeconds: 2, preemptAfterMs: undefined },
    })
    await driver.start({ onOwned: say, onLost: say, onNotice: say })
    driver.wish({ isEligible: true, priority })
    await clock.advance(1_000)
    return { driver, keeper, dcs }
  }
  const ownerLease = () => store.keys().find(({ key }) => key === OWNER_KEY)?.leaseId
  return { clock, ownerLease, a: await candidate('a', 150), b: await candidate('b', 140) }
}

test('addresses that the keeper took away are never taken again under the same lease', async () => {
  const { clock, ownerLease, a, b } = await world()
  assert.deepEqual([a.keeper.isHeld, b.keeper.isHeld], [true, false])
  const before = ownerLease()
  a.keeper.lose('this process stood still for 1500 ms')
  await clock.advance(0)
  assert.notEqual(ownerLease(), before)
  await clock.advance(1_000)
  assert.deepEqual([a.keeper.isHeld, b.keeper.isHeld], [false, true])
})

test('a lease that could not be given back while etcd was silent is given back when it answers', async () => {
  const { clock, ownerLease, a, b } = await world()
  const before = ownerLease()
  a.dcs.setFaults({ unreachable: true })
  a.keeper.lose('the guard process is gone')
  await clock.advance(300)
  assert.equal(ownerLease(), before)
  assert.equal(a.keeper.isHeld, false)
  a.dcs.setFaults({})
  await clock.advance(700)
  assert.notEqual(ownerLease(), before)
  assert.deepEqual([a.keeper.isHeld, b.keeper.isHeld], [false, true])
})
