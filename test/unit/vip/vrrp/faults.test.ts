// Whole instances on a network in memory: those that cannot hold the addresses, and those that cannot send.

import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryNetwork, type Node } from './rig.ts'

const NO_GUARD = 'the guard process does not run yet'

/** The first one is master, the second one not started. */
async function masterAnd(first: string, second: string) {
  const network = new MemoryNetwork()
  const [a, b] = [network.node(first), network.node(second)] as const
  await a.start()
  await network.clock.advance(4_000)
  assert.deepEqual(network.holders, [a.address])
  return { network, a, b }
}

/** In steps of 10 ms: how long until exactly this one holds the addresses, and how long several did. */
async function until(network: MemoryNetwork, holder: Node, limitMs = 20_000) {
  let bothMs = 0
  for (let ms = 0; ms <= limitMs; ms += 10) {
    for (const { keeper } of network.nodes) keeper.check()
    if (network.holders.join() === holder.address) return { ms, bothMs }
    if (network.holders.length > 1) bothMs += 10
    await network.clock.advance(10)
  }
  throw new Error(`${network.holders.join(', ')} hold the addresses`)
}

test('a host that cannot hold the addresses when it starts takes nothing from a lower one, until it can', async () => {
  const { network, a, b } = await masterAnd('priority 100', 'priority 150')
  b.keeper.lacks = NO_GUARD
  await b.start()
  for (let ms = 0; ms < 20_000; ms += 100) {
    await network.clock.advance(100)
    assert.deepEqual(network.holders, [a.address])
  }
  assert.deepEqual([b.sent, a.told], [0, ['owned']])
  b.keeper.set(undefined)
  await until(network, b)
})

test('a host that starts waits a moment for its guard, then it is in fault and says why', async () => {
  const network = new MemoryNetwork()
  const a = network.node('priority 100\nnotify_fault /bin/fault')
  a.keeper.lacks = NO_GUARD
  await a.start()
  await network.clock.advance(9_900)
  assert.deepEqual([a.state, a.driver.status().says, a.told, a.notified], ['starting', NO_GUARD, [], []])
  await network.clock.advance(200)
  assert.deepEqual([a.state, a.told, a.notified.length], ['fault', ['vrrp-fault'], 1])
  assert.equal(a.driver.status().says, `Entering FAULT STATE: ${NO_GUARD}`)
  a.keeper.set(undefined)
  await network.clock.advance(4_000)
  assert.deepEqual([a.state, a.told], ['owner', ['vrrp-fault', 'owned']])
})

test('a backup that cannot hold the addresses any more is in fault, and back when it can', async () => {
  const { network, a, b } = await masterAnd('priority 110', 'priority 100')
  await b.start()
  b.keeper.set('there is no interface eth9')
  assert.equal(b.state, 'fault')
  a.link = 'down'
  a.driver.refresh()
  await network.clock.advance(10_000)
  assert.deepEqual([network.holders, b.sent], [[], 0])
  b.keeper.set(undefined)
  await until(network, b)
})

test('a master without its guard gives way and takes nothing until it has one again', async () => {
  const { network, a, b } = await masterAnd('priority 110', 'priority 100')
  await b.start()
  a.keeper.lacks = NO_GUARD
  a.keeper.lose('the guard process is gone')
  assert.equal(a.state, 'fault')
  assert.ok((await until(network, b)).ms <= 620)
  await network.clock.advance(10_000)
  assert.deepEqual(network.holders, [b.address])
  a.keeper.set(undefined)
  await until(network, a)
})

test('a host whose first advert cannot be sent does not take the addresses', async () => {
  const network = new MemoryNetwork()
  const a = network.node('priority 100')
  a.sendError = 'ENOBUFS'
  await a.start()
  await network.clock.advance(4_000)
  assert.deepEqual([a.state, a.keeper.isHeld, a.told.includes('owned')], ['fault', false, false])
  assert.match(a.driver.status().says, /Entering FAULT STATE: adverts cannot be sent: ENOBUFS/)
  a.sendError = undefined
  await network.clock.advance(9_000)
  assert.equal(a.state, 'owner')
})

test('a master whose address was changed goes on with the new one', async () => {
  const { network, a, b } = await masterAnd('priority 110', 'priority 100')
  await b.start()
  await network.clock.advance(2_000)
  a.source = '10.0.0.77'
  await network.clock.advance(10_000)
  assert.deepEqual(network.holders, [a.address])
  assert.deepEqual([a.told, b.told], [['owned', 'vrrp-send'], []])
  assert.deepEqual([a.driver.status().owner, b.driver.status().owner], ['10.0.0.77', '10.0.0.77'])
})

test('a backup whose address was changed takes over with the new one', async () => {
  const { network, a, b } = await masterAnd('priority 110', 'priority 100')
  await b.start()
  b.source = '10.0.0.77'
  await a.driver.stop({} as never)
  assert.ok((await until(network, b)).ms <= 620)
})

test('a host that lost its last address of its own is in fault, and takes part again with another one', async () => {
  const { network, a, b } = await masterAnd('priority 110', 'priority 100')
  await b.start()
  a.source = undefined
  const { bothMs } = await until(network, b)
  assert.equal(bothMs, 0)
  assert.equal(a.state, 'fault')
  assert.match(a.driver.status().says, /eth0 has no address of its own/)
  a.source = '10.0.0.77'
  await until(network, a)
})

test('one peer that cannot be reached costs nobody the addresses, and is told', async () => {
  const lines = (priority: number) => `priority ${priority}\nunicast_peer { 10.0.0.1\n10.0.0.2\n10.0.0.3 }`
  const network = new MemoryNetwork()
  const [a, b] = [network.node(lines(110)), network.node(lines(100))]
  a.unreachable.add('10.0.0.3')
  for (const node of [a, b]) await node.start()
  for (let ms = 0; ms < 20_000; ms += 100) {
    await network.clock.advance(100)
    a.keeper.check()
  }
  assert.deepEqual(network.holders, [a.address])
  assert.deepEqual(a.told, ['vrrp-send', 'owned'])
})

test('a system that does not even tell our address is a fault, and tried again', async () => {
  const { network, a, b } = await masterAnd('priority 100', 'priority 150')
  b.sourceError = 'socket: EMFILE'
  await b.start()
  await network.clock.advance(8_000)
  assert.deepEqual([b.state, network.holders], ['fault', [a.address]])
  b.sourceError = undefined
  await until(network, b)
})
