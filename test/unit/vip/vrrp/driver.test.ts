// Whole instances on a network in memory: who holds the addresses, and what follows from faults, checks and lost adverts.

import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryNetwork, type Node } from './rig.ts'

async function two(first = 'priority 110', second = 'priority 100') {
  const network = new MemoryNetwork()
  const [a, b] = [network.node(first), network.node(second)] as const
  await a.start()
  await b.start()
  await network.clock.advance(4000)
  return { network, a, b }
}

/** How long until exactly this one holds the addresses, in steps of 10 ms. */
async function until(network: MemoryNetwork, holder: Node, limitMs = 20_000): Promise<number> {
  for (let ms = 0; ms <= limitMs; ms += 10) {
    if (network.holders.join() === holder.address) return ms
    await network.clock.advance(10)
  }
  throw new Error(`${network.holders.join(', ')} hold the addresses`)
}

test('of two the higher priority holds the addresses, and only it', async () => {
  const { network, a, b } = await two()
  assert.deepEqual(network.holders, [a.address])
  assert.deepEqual([a.state, b.state], ['owner', 'standby'])
  assert.equal(b.driver.status().owner, a.address)
  assert.deepEqual(a.told, ['owned'])
})

test('stopped in order, the master’s addresses are down before another one takes them', async () => {
  const { network, a, b } = await two()
  await a.driver.stop({} as never)
  assert.deepEqual(network.holders, [])
  assert.ok((await until(network, b)) <= 620)
  assert.equal(a.state, 'stopped')
})

test('a master that can send no advert loses its addresses before another one takes them', async () => {
  const { network, a, b } = await two()
  a.sendError = 'ENETUNREACH'
  let both = 0
  for (let ms = 0; ms < 6000 && !b.keeper.isHeld; ms += 10) {
    await network.clock.advance(10)
    a.keeper.check()
    if (network.holders.length > 1) both += 10
  }
  assert.equal(both, 0)
  assert.deepEqual(network.holders, [b.address])
  assert.ok(a.told.includes('vrrp-send'))
})

test('addresses that the keeper lost are another one’s after the skew alone', async () => {
  const { network, a, b } = await two()
  a.keeper.lose('the guard process is gone')
  assert.equal(a.state, 'standby')
  assert.ok((await until(network, b)) <= 620)
})

test('a process that stood still drops the addresses at its first wake-up, whatever that is', async () => {
  const { network, a, b } = await two()
  network.cuts.add(`${a.address} ${b.address}`).add(`${b.address} ${a.address}`)
  network.clock.jump(3_100)
  a.driver.refresh()
  a.driver.wish({ isEligible: true, priority: 111 })
  assert.equal(a.keeper.isHeld, false)
  assert.equal(a.state, 'standby')
  assert.match(await a.registry.metrics(), /pgherd_vrrp_stalls_total\{instance="V"\} 1/)
})

test('cut off from each other both hold the addresses; healed, the lower one gives way with the next advert', async () => {
  const { network, a, b } = await two()
  const cuts = [`${a.address} ${b.address}`, `${b.address} ${a.address}`]
  for (const cut of cuts) network.cuts.add(cut)
  await network.clock.advance(5000)
  assert.deepEqual(network.holders, [a.address, b.address])
  network.cuts.clear()
  assert.ok((await until(network, a)) <= 1000)
  assert.ok(a.keeper.announcements <= 1)
})

test('a link that goes is a fault: no addresses, and back in the election when it returns', async () => {
  const { network, a, b } = await two()
  a.link = 'down'
  a.driver.refresh()
  assert.deepEqual([a.state, a.keeper.isHeld], ['fault', false])
  assert.ok((await until(network, b)) <= 620)
  a.link = 'up'
  a.driver.refresh()
  await until(network, a)
})

test('a process that may not own the addresses is barred, and one that may again preempts', async () => {
  const { network, a, b } = await two()
  a.driver.wish({ isEligible: false, why: 'the leader is pg2' })
  assert.deepEqual([a.state, a.keeper.isHeld], ['barred', false])
  assert.equal(a.driver.status().says, 'Entering FAULT STATE: the leader is pg2')
  await until(network, b)
  a.driver.wish({ isEligible: true, priority: 110 })
  await until(network, a)
})

const scripted = (weight: string) =>
  `vrrp_script c {\nscript /bin/true\n${weight}\n}\nvrrp_instance V {\npriority 100\ntrack_script { c }\n`

test('a check’s weight decides who is master', async () => {
  const { network, a, b } = await two(scripted('weight 10'), 'priority 105')
  assert.deepEqual(network.holders, [b.address])
  a.checks.set('c', 'good')
  a.driver.refresh()
  await until(network, a)
  assert.equal(a.driver.status().priority, 110)
  a.checks.set('c', 'bad')
  a.driver.refresh()
  await until(network, b)
})

test('a check of weight 0 holds an instance back until its first answer, and puts it in fault when it fails', async () => {
  const { network, a, b } = await two(scripted(''), 'priority 90')
  assert.deepEqual([a.state, network.holders], ['starting', [b.address]])
  a.checks.set('c', 'good')
  a.driver.refresh()
  await until(network, a)
  a.checks.set('c', 'bad')
  a.driver.refresh()
  assert.equal(a.state, 'fault')
  await until(network, b)
})

test('addresses that the system refuses are a fault, and tried again after a while', async () => {
  const { network, a, b } = await two('priority 90', 'priority 100')
  a.keeper.failsWith = 'EPERM'
  await b.driver.stop({} as never)
  await network.clock.advance(2000)
  assert.equal(a.state, 'fault')
  a.keeper.failsWith = undefined
  await network.clock.advance(9000)
  assert.equal(a.state, 'owner')
})

test('peers of another password are masters both, and each refused advert is counted and told once', async () => {
  const password = (text: string) => `priority 100\nauthentication { auth_type PASS\nauth_pass ${text} }`
  const { network, a } = await two(password('one'), password('two'))
  await network.clock.advance(10_000)
  assert.equal(network.holders.length, 2)
  assert.deepEqual(a.told, ['owned', 'vrrp-refused'])
  assert.match(
    await a.registry.metrics(),
    /pgherd_vrrp_adverts_refused_total\{instance="V",reason="password"\} \d\d/,
  )
})

test('notify commands get what keepalived gives them, in the order of the changes', async () => {
  const { network, a } = await two('priority 110\nnotify /n\nnotify_master "/m x"\nnotify_stop /s')
  await a.driver.stop({} as never)
  await network.clock.advance(10)
  assert.deepEqual(a.notified, [
    '/n INSTANCE V BACKUP 110',
    '/m x',
    '/n INSTANCE V MASTER 110',
    '/s',
    '/n INSTANCE V STOP 110',
  ])
})

test('unicast adverts go to the peers alone', async () => {
  const lines = (other: string, priority: number) => `priority ${priority}\nunicast_peer { ${other} }`
  const network = new MemoryNetwork()
  const a = network.node(lines('10.0.0.2', 110))
  const b = network.node(lines('10.0.0.1', 100))
  const stranger = network.node('priority 50')
  for (const node of [a, b, stranger]) await node.start()
  await network.clock.advance(5000)
  assert.deepEqual(network.holders, [a.address, stranger.address])
  await a.driver.stop({} as never)
  await network.clock.advance(1000)
  assert.ok(b.keeper.isHeld)
})

test('a last act drops the addresses and gives them up in one go', async () => {
  const { network, a, b } = await two()
  a.driver.dropNow('the process dies')
  const { sent } = a
  // What it hears while it dies must not wake it.
  a.driver.refresh()
  assert.deepEqual(network.holders, [])
  assert.ok((await until(network, b)) <= 620)
  await network.clock.advance(5_000)
  assert.equal(a.sent, sent)
})

test('a thousand random faults: two masters only while somebody is cut off, one master after everything healed', async () => {
  const network = new MemoryNetwork()
  const nodes = [110, 105, 100].map(priority =>
    network.node(`priority ${priority}\nversion 3\nadvert_int 0.1`),
  )
  for (const node of nodes) await node.start()
  let seed = 7
  const draw = (n: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * n)
  }
  for (let round = 0; round < 1000; round += 1) {
    const [one, other] = [nodes[draw(3)], nodes[draw(3)]] as [Node, Node]
    const kind = draw(5)
    if (kind === 0) network.cuts.add(`${one.address} ${other.address}`)
    else if (kind === 1) one.link = 'down'
    else if (kind === 2) one.keeper.lose('by chance')
    else if (kind === 3) one.driver.wish({ isEligible: true, priority: 50 + draw(150) })
    else network.clock.jump(draw(600))
    for (const { driver } of nodes) driver.refresh()
    await network.clock.advance(draw(200))
    if (draw(3) > 0) continue
    network.cuts.clear()
    for (const node of nodes) {
      node.link = 'up'
      node.driver.refresh()
    }
    await network.clock.advance(1500)
    assert.equal(network.holders.length, 1, `round ${round}: ${network.holders.join(', ')}`)
    assert.deepEqual(network.masters, network.holders)
  }
})
