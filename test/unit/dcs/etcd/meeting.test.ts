import assert from 'node:assert/strict'
import test from 'node:test'
import { Deadline } from '../../../../src/platform/deadline.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { fakeEtcd, type Manner } from './fake-members.ts'

const ours: Manner = { clusterId: '1', term: 9, revision: 40 }
const strange: Manner = { clusterId: '66', revision: 1 }

/** Nobody has been asked anything yet. */
function rig(...manners: readonly Manner[]) {
  const clock = new FakeClock()
  const etcd = fakeEtcd(clock, manners.length, true)
  for (const [index, manner] of manners.entries()) Object.assign(etcd.members[index] ?? {}, { manner })
  /** The cluster that answers a read, or the code of its error. */
  const read = async (withinMs: number) => {
    const by = Deadline.in(clock, withinMs)
    const reading = etcd.calls
      .read('read', by, rpc => rpc.range({ key: Buffer.from('k') }, {} as never))
      .then(
        ({ position }) => position.clusterId,
        (error: { code?: string }) => error.code,
      )
    for (let ms = 0; ms < withinMs + 100; ms += 20) await clock.advance(20)
    return reading
  }
  const write = async () => {
    const by = Deadline.in(clock, 1_000)
    const writing = etcd.calls
      .write('write', by, rpc => rpc.txn({ compare: [], success: [] }, {} as never))
      .then(
        () => 'won',
        (error: { kind?: string }) => error.kind,
      )
    for (let ms = 0; ms < 1_100; ms += 20) await clock.advance(20)
    return writing
  }
  return { ...etcd, clock, read, write }
}

test('two hosts of two etcd clusters: neither is believed, read or written, whoever answers first', async () => {
  const { members, read, write, leases, told, clock } = rig(strange, { ...ours, delayMs: 600 })
  assert.equal(await read(3_000), 'E_DCS_STALE')
  assert.equal(await write(), 'not-sent')
  const renewing = leases.keepAlive(7n, Deadline.in(clock, 500))
  await clock.advance(600)
  assert.notEqual((await renewing).outcome, 'won')
  for (const member of members) assert.ok(!member.requests.includes('txn'), member.name)
  assert.match(told.find(says => says.startsWith('dcs-contested')) ?? '', /m0 belongs to 66, m1 belongs to 1/)
})

test('while both answer it stays so; when only one has answered for a minute it is believed', async () => {
  const { members, read } = rig(strange, ours)
  for (let minute = 0; minute < 3; minute += 1) assert.equal(await read(30_000), 'E_DCS_STALE')
  Object.assign(members[0] ?? {}, { manner: { error: '14 UNAVAILABLE: No connection established' } })
  assert.equal(await read(50_000), 'E_DCS_STALE')
  assert.equal(await read(20_000), '1')
})

test('the known cluster answers later than one attempt may take: the stranger is left as soon as it does', async () => {
  const { clock, members, read, write, told } = rig(
    strange,
    { ...ours, delayMs: 2_500 },
    { ...ours, delayMs: 2_600 },
  )
  assert.equal(await read(1_500), '66', 'nobody else has said anything yet')
  await clock.advance(1_200)
  assert.equal(await read(4_000), '1')
  for (const member of members.slice(1)) member.manner = ours
  assert.equal(await write(), 'won')
  assert.ok(!members[0]?.requests.includes('txn'))
  assert.ok(
    told.some(says => says.startsWith('dcs-restored')),
    told.join(),
  )
})

test('a stranger that answers late changes nothing where most are of the known cluster', async () => {
  const { members, read } = rig({ ...strange, delayMs: 3_000 }, ours, ours)
  assert.equal(await read(1_500), '1')
  assert.equal(await read(4_000), '1')
  assert.ok(!members[0]?.requests.includes('txn'))
})

test('a write that comes before any read meets the members first', async () => {
  const { members, write } = rig(strange, ours, ours)
  assert.equal(await write(), 'won')
  assert.ok(!members[0]?.requests.includes('txn'))
})
