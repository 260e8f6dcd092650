import assert from 'node:assert/strict'
import test from 'node:test'
import type { Send } from '../../../../src/dcs/etcd/endpoints.ts'
import { EtcdFault } from '../../../../src/dcs/etcd/faults.ts'
import type { RangeAnswer, TxnAnswer } from '../../../../src/dcs/etcd/rpc.ts'
import { Deadline } from '../../../../src/platform/deadline.ts'
import { HaError } from '../../../../src/platform/errors.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeMember, fakeEtcd, type Manner } from './fake-members.ts'

const range: Send<RangeAnswer> = (rpc, call) => rpc.range({ key: Buffer.from('x') }, call)
const txn: Send<TxnAnswer> = (rpc, call) => rpc.txn({ compare: [], success: [] }, call)

const frozen: Manner = { delayMs: 1_000_000 }
const noPassword: Manner = {
  error: '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
}
const refused: Manner = { error: '9 FAILED_PRECONDITION: gRPC 14: No connection established' }

function rig(...manners: readonly Manner[]) {
  const clock = new FakeClock()
  const etcd = fakeEtcd(clock, manners.length)
  manners.forEach((manner, index) => {
    const member = etcd.members[index]
    if (member !== undefined) member.manner = manner
  })
  const by = (durationMs: number) => Deadline.in(clock, durationMs)
  const asked = () => etcd.members.map((member: FakeMember) => member.requests.length)
  return { ...etcd, clock, by, asked }
}

/** Runs a call while time goes on, and returns what came of it and when. */
async function timed<T>(clock: FakeClock, work: Promise<T>): Promise<{ result: T | Error; ms: number }> {
  let ms = Number.NaN
  const settled = work
    .catch((error: Error) => error)
    .finally(() => {
      ms = clock.monotonicMs()
    })
  for (let step = 0; step < 2_000 && Number.isNaN(ms); step += 1) await clock.advance(10)
  return { result: await settled, ms }
}

test('a read stays with the member that answered', async () => {
  const { calls, by, asked } = rig({}, {}, {})
  for (let count = 0; count < 5; count += 1) await calls.read('read', by(1_000), range)
  assert.deepEqual(asked(), [5, 0, 0])
})

test('a read leaves a frozen member after one attempt and does not come back to it', async () => {
  const { calls, by, asked, clock } = rig(frozen, {}, {})
  const first = await timed(clock, calls.read('read', by(5_000), range))
  assert.ok(first.ms >= 1_000 && first.ms < 1_100, `${first.ms}`)
  await calls.read('read', by(5_000), range)
  assert.deepEqual(asked(), [1, 2, 0])
})

// Such an answer has no header: nobody can tell whether the member belongs to our etcd at all.
test('a member that refuses our password does not decide for the others: reads, writes and renewals go to those', async () => {
  const { calls, leases, members, by, clock } = rig(noPassword, {}, {})
  const read = await timed(clock, calls.read('read', by(3_000), range))
  assert.ok(!(read.result instanceof Error), String(read.result))
  const written = await timed(clock, calls.write('write', by(3_000), txn))
  assert.ok(!(written.result instanceof Error), String(written.result))
  assert.ok(!members[0]?.requests.includes('txn'))
  const renewed = await timed(clock, leases.keepAlive(7n, by(3_000)))
  assert.ok(!(renewed.result instanceof Error) && renewed.result.outcome === 'won')
})

test('a password that every member refuses is told at once', async () => {
  const { calls, leases, by, clock } = rig(noPassword, noPassword, noPassword)
  const read = await timed(clock, calls.read('read', by(3_000), range))
  assert.ok(read.result instanceof HaError && read.result.code === 'E_DCS_AUTH', String(read.result))
  const written = await timed(clock, calls.write('write', by(3_000), txn))
  assert.ok(written.result instanceof EtcdFault && written.result.kind === 'auth', String(written.result))
  const renewed = await timed(clock, leases.keepAlive(7n, by(3_000)))
  assert.deepEqual(renewed.result, { outcome: 'unreachable' })
  assert.ok(renewed.ms < 1_000, `${renewed.ms} ms`)
})

test('a read at dead members goes on until its deadline and names them all', async () => {
  const { calls, by, clock, asked } = rig(refused, refused, refused)
  const { result, ms } = await timed(clock, calls.read('read', by(3_000), range))
  assert.ok(result instanceof HaError && result.code === 'E_DCS_UNREACHABLE')
  for (const name of ['m0', 'm1', 'm2']) assert.ok(result.message.includes(name))
  assert.ok(ms >= 3_000 && ms < 3_100, `${ms}`)
  assert.ok(asked().every(count => count > 5))
})

test('a slow etcd gets more time in each round', async () => {
  const { calls, by, clock } = rig({ delayMs: 1_700 })
  const { result, ms } = await timed(clock, calls.read('read', by(10_000), range))
  assert.ok(!(result instanceof Error))
  assert.ok(ms < 3_000, `${ms}`)
})

test('an answer of an older raft term is passed over for another member', async () => {
  const { calls, by, members, endpoints } = rig({ term: 5 }, { term: 5 }, {})
  await calls.read('read', by(1_000), range)
  const [old, other] = members
  assert.ok(old !== undefined && other !== undefined)
  old.manner = { term: 4, revision: 900 }
  const answer = await calls.read('read', by(1_000), range)
  assert.equal(answer.position.raftTerm, 5n)
  assert.equal(endpoints.order()[0], other)
})

test('when every member that answers is in the older term for 3 s, etcd was restored: it is believed', async () => {
  const { calls, by, members, terms, clock } = rig({ term: 9 }, { term: 9 }, { term: 9 })
  await calls.read('read', by(1_000), range)
  members.forEach((member, index) => {
    member.manner = index === 1 ? refused : { term: 2, revision: 3 }
  })
  const { result, ms } = await timed(clock, calls.read('read', by(6_000), range))
  assert.ok(ms >= 3_000 && ms < 5_000, `${ms}`)
  assert.ok(!(result instanceof Error))
  assert.equal(result.position.raftTerm, 2n)
  assert.equal(terms.current()?.raftTerm, 2n)
})

test('one of three that says so alone is believed after a minute of silence, not after 3 s', async () => {
  for (const manner of [
    { term: 2, revision: 3 },
    { clusterId: '77', term: 20 },
  ]) {
    const { calls, by, members, clock, terms } = rig({ term: 9 }, { term: 9 }, { term: 9 })
    await calls.read('read', by(1_000), range)
    members.forEach((member, index) => {
      member.manner = index === 2 ? manner : refused
    })
    for (let untilMs = 10_000; untilMs <= 50_000; untilMs += 10_000) {
      const { result } = await timed(clock, calls.read('read', by(10_000), range))
      assert.ok(result instanceof HaError && result.code === 'E_DCS_STALE', `after ${untilMs} ms`)
    }
    const { result } = await timed(clock, calls.read('read', by(12_000), range))
    assert.ok(!(result instanceof Error), String(result))
    assert.equal(terms.current()?.raftTerm, BigInt(manner.term))
    const next = await timed(clock, calls.read('read', by(1_000), range))
    assert.ok(!(next.result instanceof Error), 'and from then on it is the one that we know')
  }
})

test('as many members as etcd’s own list has must agree, however few are configured', async () => {
  const { calls, by, members, endpoints, clock } = rig({ term: 9 }, {}, {})
  const [ours, second, third] = members
  assert.ok(ours && second && third)
  const learned = [second, third].map(({ name }) => new FakeMember(name, clock, '1'))
  endpoints.setConfigured([ours])
  endpoints.setLearned([...learned, new FakeMember('m0', clock, '1')])
  await calls.read('read', by(1_000), range)
  for (const member of learned) member.manner = refused
  ours.manner = { term: 2, revision: 3 }
  const { result } = await timed(clock, calls.read('read', by(10_000), range))
  assert.ok(result instanceof HaError, 'one of three')
  // The whole etcd was restored in place: the members of its list say so too.
  for (const member of learned) member.manner = { term: 2, revision: 3 }
  const { result: all } = await timed(clock, calls.read('read', by(10_000), range))
  assert.ok(!(all instanceof Error), String(all))
})

test('an etcd that lost what it had, in a term no lower than before, is followed and told as restored', async () => {
  const { calls, by, members, told, terms } = rig({ term: 3, revision: 500 })
  await calls.read('read', by(1_000), range)
  const [member] = members
  assert.ok(member !== undefined)
  member.manner = { term: 4, revision: 2 }
  const { position } = await calls.read('read', by(1_000), range)
  assert.equal(position.revision, 2n)
  assert.deepEqual(
    told.filter(says => says.startsWith('dcs-restored')),
    ['dcs-restored etcd went back from revision 500 to 2: taken as restored or wiped'],
  )
  await calls.read('read', by(1_000), range)
  assert.equal(told.filter(says => says.startsWith('dcs-restored')).length, 1)
  assert.deepEqual(terms.current(), { clusterId: '1', raftTerm: 4n, revision: 2n })
})

test('a member that lags with a lease or a local read is no restored etcd', async () => {
  const { calls, leases, by, members, told } = rig({ term: 3, revision: 500 })
  await calls.read('read', by(1_000), range)
  const [member] = members
  assert.ok(member !== undefined)
  member.manner = { term: 3, revision: 490 }
  await leases.grant(5, by(1_000))
  await calls.read('read a lease', by(1_000), range, 'local')
  assert.deepEqual(
    told.filter(says => says.startsWith('dcs-restored')),
    [],
  )
})

test('an answer to a question that was sent before the last write says nothing of a restore', async () => {
  const { calls, by, members, told, clock } = rig({ term: 3, revision: 500 })
  await calls.read('read', by(1_000), range)
  const [member] = members
  assert.ok(member !== undefined)
  member.manner = { term: 3, revision: 500, delayMs: 200 }
  const slow = calls.read('read', by(5_000), range)
  await clock.advance(10)
  member.manner = { term: 3, revision: 501 }
  await calls.write('write', by(1_000), txn)
  await clock.advance(300)
  assert.equal((await slow).position.revision, 500n)
  assert.deepEqual(
    told.filter(says => says.startsWith('dcs-restored')),
    [],
  )
})

test('one member that was brought up alone from an old disk is not believed while the others have just answered', async () => {
  const { calls, by, members, clock, terms } = rig({ term: 9 }, { term: 9 }, { term: 9 })
  await calls.read('read', by(1_000), range)
  members.forEach((member, index) => {
    member.manner = index === 2 ? { term: 2, revision: 3 } : frozen
  })
  const { result } = await timed(clock, calls.read('read', by(2_500), range))
  assert.ok(result instanceof HaError && result.code === 'E_DCS_STALE')
  assert.equal(terms.current()?.raftTerm, 9n)
})

test('an older term is an error of its own while others may still say otherwise', async () => {
  const { calls, by, members, clock } = rig({ term: 9 }, {}, {})
  await calls.read('read', by(1_000), range)
  members.forEach((member, index) => {
    member.manner = index === 0 ? { term: 8 } : frozen
  })
  const { result } = await timed(clock, calls.read('read', by(1_500), range))
  assert.ok(result instanceof HaError && result.code === 'E_DCS_STALE')
})

test('a question that no raft round answers never makes an older term true', async () => {
  const { calls, by, members, clock, terms } = rig({ term: 9 })
  await calls.read('read', by(1_000), range)
  for (const member of members) member.manner = { term: 2 }
  const { result } = await timed(clock, calls.read('read a lease', by(1_000), range, 'local'))
  assert.ok(result instanceof HaError && result.code === 'E_DCS_STALE')
  assert.equal(terms.current()?.raftTerm, 9n)
})

test('a write is sent once: no answer means that it may be applied', async () => {
  const { calls, by, members, clock, asked } = rig({}, {}, {})
  await calls.read('read', by(1_000), range)
  for (const member of members) member.manner = frozen
  const { result } = await timed(clock, calls.write('write', by(10_000), txn))
  assert.ok(result instanceof EtcdFault && result.kind === 'unanswered')
  assert.deepEqual(asked(), [2, 0, 0])
})

test('a write first finds a member that is alive', async () => {
  const { calls, by, members, clock } = rig(frozen, {}, {})
  const { result } = await timed(clock, calls.write('write', by(5_000), txn))
  assert.ok(!(result instanceof Error))
  assert.deepEqual(
    members.map(member => member.requests),
    [['probe'], ['probe', 'txn'], []],
  )
})

test('a write that was refused before it began may go to another member', async () => {
  const noLeader = { error: '9 FAILED_PRECONDITION: gRPC 14: etcdserver: no leader' }
  const { calls, by, members, clock } = rig({}, {}, {})
  await calls.read('read', by(1_000), range)
  const [first] = members
  assert.ok(first !== undefined)
  first.manner = noLeader
  const { result } = await timed(clock, calls.write('write', by(5_000), txn))
  assert.ok(!(result instanceof Error))
  assert.equal(first.requests.filter(request => request === 'txn').length, 1)
})

test('a write that nobody could take was surely not sent', async () => {
  const { calls, by, members, clock } = rig(frozen, refused, frozen)
  const { result } = await timed(clock, calls.write('write', by(2_000), txn))
  assert.ok(result instanceof EtcdFault && result.kind === 'not-sent')
  assert.ok(members.every(member => !member.requests.includes('txn')))
})

test('a renewal asks a second member at half time, and its deadline counts from that request', async () => {
  const { leases, by, clock } = rig(frozen, {}, {})
  const { result, ms } = await timed(clock, leases.keepAlive(7n, by(5_000)))
  assert.ok(!(result instanceof Error) && result.outcome === 'won')
  assert.equal(result.lease.sentAtMs, 500)
  assert.ok(ms <= 520, `${ms}`)
})

test('a renewal by a member that lives in an older term does not count', async () => {
  const { leases, calls, by, members, clock } = rig({ term: 5 }, { term: 5 }, { term: 5 })
  await calls.read('read', by(1_000), range)
  const [thawed, second, third] = members
  assert.ok(thawed !== undefined && second !== undefined && third !== undefined)
  thawed.manner = { term: 4, ttl: 5 }
  second.manner = { term: 5, ttl: 0 }
  const { result } = await timed(clock, leases.keepAlive(7n, by(2_000)))
  assert.deepEqual(result, { outcome: 'lost' })
  second.manner = frozen
  third.manner = frozen
  const alone = await timed(clock, leases.keepAlive(7n, by(2_000)))
  assert.deepEqual(alone.result, { outcome: 'unknown' })
})

test('a renewal that nobody heard is unreachable, one without an answer is unknown', async () => {
  const dead = rig(refused, refused)
  assert.deepEqual((await timed(dead.clock, dead.leases.keepAlive(7n, dead.by(1_000)))).result, {
    outcome: 'unreachable',
  })
  const silent = rig(frozen, refused)
  assert.deepEqual((await timed(silent.clock, silent.leases.keepAlive(7n, silent.by(1_000)))).result, {
    outcome: 'unknown',
  })
})

test('another etcd cluster is passed over while a known member answers, and gets no write', async () => {
  const { calls, by, members, clock } = rig({}, {}, {})
  await calls.read('read', by(1_000), range)
  const [first] = members
  assert.ok(first !== undefined)
  first.manner = { clusterId: '77', revision: 5_000, term: 90 }
  const { result } = await timed(clock, calls.read('read', by(5_000), range))
  assert.ok(!(result instanceof Error))
  assert.equal(result.position.clusterId, '1')
  await clock.advance(1_000)
  await timed(clock, calls.write('write', by(5_000), txn))
  assert.equal(first.requests.includes('txn'), false)
})

test('another cluster is taken for ours when nobody of the known one has answered for 3 s, never before', async () => {
  const { calls, by, members, clock, terms } = rig({}, {}, {})
  await calls.read('read', by(1_000), range)
  for (const member of members) member.manner = { clusterId: '77' }
  const early = await timed(clock, calls.read('read', by(1_000), range))
  assert.ok(early.result instanceof HaError && early.result.code === 'E_DCS_STALE')
  const late = await timed(clock, calls.read('read', by(10_000), range))
  assert.ok(!(late.result instanceof Error))
  assert.equal(terms.current()?.clusterId, '77')
})

test('a renewal that another cluster answers says nothing about our lease', async () => {
  const { leases, calls, by, members, clock } = rig({}, {})
  await calls.read('read', by(1_000), range)
  for (const member of members) member.manner = { clusterId: '77', ttl: 0 }
  const { result } = await timed(clock, leases.keepAlive(7n, by(1_000)))
  assert.deepEqual(result, { outcome: 'unknown' })
})

test('a slow member’s answer counts though others were asked meanwhile, and the next read waits longer', async () => {
  const { calls, by, clock, asked } = rig({ delayMs: 1_800 }, frozen, frozen)
  const first = await timed(clock, calls.read('read', by(10_000), range))
  assert.ok(!(first.result instanceof Error))
  assert.ok(first.ms < 1_900, `${first.ms}`)
  assert.deepEqual(asked(), [1, 1, 0])
  await timed(clock, calls.read('read', by(10_000), range))
  assert.deepEqual(asked(), [2, 1, 0])
})

test('at the first contact the highest raft term counts, not the first answer: a lone member of an old disk is not believed', async () => {
  const clock = new FakeClock()
  const { members, calls, terms } = fakeEtcd(clock, 3, true)
  const [old, ours, late] = members
  assert.ok(old && ours && late)
  old.manner = { term: 2, revision: 900 }
  ours.manner = { term: 7, revision: 40, delayMs: 50 }
  late.manner = { term: 7, revision: 40, delayMs: 5_000 }
  const reading = calls.read('read', Deadline.in(clock, 5_000), rpc =>
    rpc.range({ key: Buffer.from('k') }, {} as never),
  )
  await clock.advance(1_200)
  assert.equal((await reading).position.revision, 40n)
  assert.equal(terms.current()?.raftTerm, 7n)
})

test('at the first contact the etcd cluster of most members counts', async () => {
  const clock = new FakeClock()
  const { members, calls, terms } = fakeEtcd(clock, 3, true)
  for (const [index, member] of members.entries())
    member.manner = { clusterId: index === 0 ? '66' : '1', revision: 5 }
  const reading = calls.read('read', Deadline.in(clock, 5_000), rpc =>
    rpc.range({ key: Buffer.from('k') }, {} as never),
  )
  await clock.advance(1_000)
  assert.equal((await reading).position.clusterId, '1')
  assert.equal(terms.current()?.clusterId, '1')
})

test('a lease of which more is left than was ever granted is no answer, and an election adds nothing to count on', async () => {
  const clock = new FakeClock()
  const { members, leases } = fakeEtcd(clock, 1)
  const [member] = members
  assert.ok(member)
  member.manner = { ttl: 5, left: 9_223_372_036 }
  await assert.rejects(leases.left(7n, Deadline.in(clock, 1_000)), { code: 'E_DCS_STALE' })
  member.manner = { ttl: 5, left: 7 }
  assert.equal((await leases.left(7n, Deadline.in(clock, 1_000))).leftSeconds, 5)
  member.manner = { ttl: 5, left: -1 }
  assert.equal((await leases.left(7n, Deadline.in(clock, 1_000))).leftSeconds, undefined)
})
