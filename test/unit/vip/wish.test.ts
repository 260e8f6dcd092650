import assert from 'node:assert/strict'
import test from 'node:test'
import { lackingCapabilities, refuseOnlyAddress } from '../../../src/vip/system-check.ts'
import { agentWish, type ProxyStanding, proxyWish } from '../../../src/vip/wish.ts'

const here = { member: undefined, addresses: new Set(['10.0.0.1', '127.0.0.1']) }
const pg1 = { member: 'pg1', host: '10.0.0.1' }
const pg2 = { member: 'pg2', host: '10.0.0.2' }

function standing(changes: Partial<ProxyStanding> = {}): ProxyStanding {
  return { lacks: undefined, leader: pg1, replicas: [pg2], ...changes }
}

const rows: readonly [string, 'proxy' | 'leader' | 'replica', Partial<ProxyStanding>, string][] = [
  ['a proxy that serves', 'proxy', {}, 'eligible'],
  [
    'a proxy without any server',
    'proxy',
    { lacks: 'no listener has a server' },
    'impaired: no listener has a server',
  ],
  ['the proxy beside the leader', 'leader', {}, 'eligible'],
  ['a proxy beside a replica', 'leader', { leader: pg2, replicas: [pg1] }, 'barred: the leader is pg2'],
  ['a cluster without leader', 'leader', { leader: undefined }, 'barred: there is no leader'],
  ['the proxy beside a replica that takes reads', 'replica', { leader: pg2, replicas: [pg1] }, 'eligible'],
  ['the proxy beside the leader, for reads', 'replica', {}, 'impaired: this host has the leader'],
  [
    'a proxy beside nobody',
    'replica',
    { leader: pg2, replicas: [] },
    'barred: no replica of this host takes reads',
  ],
]

for (const [what, follow, changes, want] of rows) {
  test(`${what}, following ${follow}: ${want}`, () => {
    assert.equal(printed(proxyWish(follow, 120, standing(changes), here)), want)
  })
}

test('a member named in the file is where the proxy is, whatever its addresses', () => {
  const place = { ...here, member: 'pg2' }
  assert.equal(printed(proxyWish('leader', 100, standing(), place)), 'barred: the leader is pg1')
  assert.equal(printed(proxyWish('leader', 100, standing({ leader: pg2 }), place)), 'eligible')
})

test('an agent owns as leader, and for reads as a replica that takes them', () => {
  const replica = { isLeader: false, leader: 'pg2', isReadable: true, state: 'replica, running' }
  const leader = { isLeader: true, leader: 'pg1', isReadable: false, state: 'primary, running' }
  const starting = { isLeader: false, leader: undefined, isReadable: false, state: 'replica, starting' }
  assert.equal(printed(agentWish('leader', 100, leader)), 'eligible')
  assert.equal(printed(agentWish('leader', 100, replica)), 'barred: the leader is pg2')
  assert.equal(printed(agentWish('leader', 100, starting)), 'barred: there is no leader')
  assert.equal(printed(agentWish('replica', 100, replica)), 'eligible')
  assert.equal(printed(agentWish('replica', 100, leader)), 'impaired: this host has the leader')
  assert.equal(
    printed(agentWish('replica', 100, starting)),
    'barred: no replica that takes reads: replica, starting',
  )
})

test('capabilities that are not in effect are named', () => {
  const both = 'CapPrm:\t0000000000003000\nCapEff:\t0000000000003000\n'
  assert.deepEqual(lackingCapabilities(both), [])
  assert.deepEqual(lackingCapabilities('CapEff:\t0000000000001000\n'), ['CAP_NET_RAW'])
  assert.deepEqual(lackingCapabilities('CapPrm:\t0000000000003000\nCapEff:\t0000000000000000\n'), [
    'CAP_NET_ADMIN',
    'CAP_NET_RAW',
  ])
})

test('the only address of an interface is no virtual address', () => {
  const vip = {
    interfaceName: 'eth0',
    address: '10.0.0.9',
    family: 4,
    prefixLength: 32,
    label: undefined,
  } as const
  const link = { index: 2, name: 'eth0', mac: undefined, isRunning: true }
  const present = (address: string, index = 2, family: 4 | 6 = 4) => ({
    index,
    address,
    family,
    prefixLength: 24,
  })
  assert.throws(
    () =>
      refuseOnlyAddress(vip, link, [present('10.0.0.9'), present('fe80::1', 2, 6), present('10.0.0.1', 3)]),
    /10\.0\.0\.9 is the only address of eth0/,
  )
  refuseOnlyAddress(vip, link, [present('10.0.0.9'), present('10.0.0.1')])
  refuseOnlyAddress(vip, link, [])
})

function printed(wish: ReturnType<typeof agentWish>): string {
  if (!wish.isEligible) return `barred: ${wish.why}`
  return wish.impaired === undefined ? 'eligible' : `impaired: ${wish.impaired}`
}
