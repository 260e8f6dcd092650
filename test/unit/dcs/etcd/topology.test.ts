import assert from 'node:assert/strict'
import test from 'node:test'
import type { EtcdEndpoint } from '../../../../src/dcs/etcd/endpoint.ts'
import { parseEndpoint } from '../../../../src/dcs/etcd/options.ts'
import { Topology } from '../../../../src/dcs/etcd/topology.ts'
import { Deadline } from '../../../../src/platform/deadline.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeMember, fakeEtcd } from './fake-members.ts'

const LIST = { a: 'http://10.0.0.1:2379', b: 'http://10.0.0.2:2379', c: 'http://10.0.0.3:2379' }

/** One configured member whose list names three; learned members are as the test says. */
function rig(lookup?: () => Promise<readonly string[]>) {
  const clock = new FakeClock()
  const etcd = fakeEtcd(clock, lookup === undefined ? 1 : 0)
  const opened: FakeMember[] = []
  const told: string[] = []
  const open = (address: { readonly name: string }, learnedFrom?: string) => {
    const member = new FakeMember(address.name, clock, learnedFrom)
    member.list = LIST
    opened.push(member)
    return member as unknown as EtcdEndpoint
  }
  const configured = lookup === undefined ? [parseEndpoint('10.0.0.1:2379')] : []
  const tell = (kind: string) => void told.push(kind)
  const topology = new Topology({ ...etcd, clock, lookup, followMembers: true, open, tell }, configured)
  const [m0] = etcd.members
  if (m0 !== undefined) m0.list = LIST
  const names = () => etcd.endpoints.order().map(({ name }) => name)
  return { ...etcd, clock, topology, opened, told, names, m0 }
}

test('after the first contact the members of the list stand behind the configured ones', async () => {
  const { clock, topology, names, told } = rig()
  assert.deepEqual(names(), ['m0'])
  topology.noteContact()
  await clock.advance(0)
  assert.deepEqual(names(), ['m0', '10.0.0.2:2379', '10.0.0.3:2379'])
  assert.deepEqual(told, ['dcs-members-changed'])
  topology.close()
})

test('the list is asked for again when it is old, and after a failure, but not all the time', async () => {
  const { clock, topology, m0, endpoints, opened } = rig()
  assert.ok(m0 !== undefined)
  const requests = () => [m0, ...opened].flatMap(member => member.requests)
  const asked = () => requests().filter(request => request === 'members').length
  for (let second = 0; second < 29; second += 1) {
    topology.noteContact()
    await clock.advance(1_000)
  }
  assert.equal(asked(), 1)
  await clock.advance(1_000)
  topology.noteContact()
  await clock.advance(0)
  assert.equal(asked(), 2)
  for (let count = 0; count < 20; count += 1) {
    endpoints.failed(m0)
    await clock.advance(100)
  }
  assert.ok(asked() >= 3 && asked() <= 5, `${asked()}`)
  topology.close()
})

test('members that left the list are closed and no longer asked; those that stay keep what is known of them', async () => {
  const { clock, topology, m0, opened, names } = rig()
  assert.ok(m0 !== undefined)
  topology.noteContact()
  await clock.advance(0)
  m0.list = { a: LIST.a, c: LIST.c, d: 'http://10.0.0.4:2379' }
  await clock.advance(30_000)
  topology.noteContact()
  await clock.advance(0)
  assert.deepEqual(names(), ['m0', '10.0.0.3:2379', '10.0.0.4:2379'])
  assert.deepEqual(
    opened.map(({ name, isClosed }) => [name, isClosed]),
    [
      ['10.0.0.2:2379', true],
      ['10.0.0.3:2379', false],
      ['10.0.0.4:2379', false],
    ],
  )
  topology.close()
})

test('the list of another etcd cluster is not followed', async () => {
  const { clock, topology, m0, calls, names } = rig()
  assert.ok(m0 !== undefined)
  await calls.read('read', Deadline.in(clock, 1_000), (rpc, call) =>
    rpc.range({ key: Buffer.from('x') }, call),
  )
  m0.manner = { clusterId: '77' }
  topology.noteContact()
  await clock.advance(0)
  assert.deepEqual(names(), ['m0'])
  topology.close()
})

test('endpoints from DNS are looked up before the first call, and again after failures', async () => {
  let answer = ['http://10.0.0.8:2379']
  const { clock, topology, endpoints, names } = rig(async () => answer)
  const found = topology.find(Deadline.in(clock, 5_000))
  await clock.advance(0)
  await found
  assert.equal(names()[0], '10.0.0.8:2379')
  topology.noteContact()
  await clock.advance(2_000)
  answer = ['http://10.0.0.9:2379']
  const [first] = endpoints.configured
  assert.ok(first !== undefined)
  endpoints.failed(first)
  await clock.advance(0)
  assert.deepEqual(
    endpoints.configured.map(({ name }) => name),
    ['10.0.0.9:2379'],
  )
  topology.close()
})

test('a DNS that fails keeps what is known', async () => {
  let isWell = true
  const { clock, topology, endpoints } = rig(async () => {
    if (!isWell) throw new Error('queryA ESERVFAIL')
    return ['http://10.0.0.8:2379']
  })
  const found = topology.find(Deadline.in(clock, 5_000))
  await clock.advance(0)
  await found
  isWell = false
  topology.noteContact()
  await clock.advance(0)
  assert.equal(endpoints.configured.length, 1)
  topology.close()
})
