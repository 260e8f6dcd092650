import assert from 'node:assert/strict'
import test from 'node:test'
import type { Notice } from '../../../../src/dcs/dcs.ts'
import { Watcher } from '../../../../src/dcs/etcd/watcher.ts'
import { revisionOf } from '../../../../src/dcs/etcd/wire.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { type FakeMember, type FakeStream, fakeEtcd } from './fake-members.ts'

/** A watch over three members with what it told so far: revisions as numbers, `stale` by its first words. */
async function watching(streams: 1 | 2, firstContact?: (members: readonly FakeMember[]) => void) {
  const clock = new FakeClock()
  const etcd = fakeEtcd(clock, 3, firstContact !== undefined)
  firstContact?.(etcd.members)
  const ended = new AbortController()
  const told: (number | string)[] = []
  const watcher = new Watcher(
    { ...etcd, clock, silenceMs: 2_000, onClosed: () => {} },
    { streams, signal: ended.signal },
  )
  const over = keep(watcher.notices, told)
  const close = async () => {
    ended.abort()
    await over
    assert.equal(clock.timers, 0, 'timers are left after the watch was closed')
  }
  const [m0, m1, m2] = etcd.members
  assert.ok(m0 !== undefined && m1 !== undefined && m2 !== undefined)
  await clock.advance(0)
  return { ...etcd, m0, m1, m2, clock, told, close }
}

async function keep(notices: AsyncIterable<Notice>, told: (number | string)[]): Promise<void> {
  for await (const notice of notices) {
    if (notice.kind === 'stale') told.push(notice.why.split(' ').slice(0, 2).join(' '))
    else told.push(...notice.events.map(event => Number(revisionOf(event))))
  }
}

function latest(member: { readonly streams: readonly FakeStream[] }): FakeStream {
  const stream = member.streams.at(-1)
  assert.ok(stream !== undefined, 'a stream was opened')
  return stream
}

test('two streams go to two members; what the slower one repeats is dropped', async () => {
  const { m0, m1, m2, told, clock, close } = await watching(2)
  assert.deepEqual([m0.streams.length, m1.streams.length, m2.streams.length], [1, 1, 0])
  latest(m0).created(10)
  latest(m1).created(10)
  latest(m1).events(11)
  latest(m0).events(11)
  latest(m0).events(12, 13)
  latest(m1).events(12)
  latest(m1).events(13, 14)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 11, 12, 13, 14])
  await close()
})

test('a stream that begins after the first told revision is opened again from there: no gap', async () => {
  const { m0, m1, told, clock, close } = await watching(2)
  latest(m0).created(10)
  latest(m1).created(15)
  latest(m1).events(16)
  await clock.advance(200)
  assert.equal(latest(m1).from, 11n)
  latest(m1).created(16)
  latest(m1).events(11, 12)
  latest(m0).events(11, 12, 16)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 11, 12, 16])
  await close()
})

test('a lost stream resumes elsewhere after the last revision; nobody reads anew while the other lives', async () => {
  const { m0, m1, m2, told, clock, close } = await watching(2)
  latest(m0).created(10)
  latest(m1).created(10)
  latest(m0).events(11)
  latest(m0).fail('9 FAILED_PRECONDITION: gRPC 14: Connection dropped')
  await clock.advance(200)
  assert.equal(latest(m2).from, 12n)
  latest(m2).created(11)
  latest(m2).events(12)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 11, 12])
  assert.equal(m1.streams.length, 1)
  await close()
})

test('with its only stream lost, a watch says so, resumes, and says so again', async () => {
  const { m0, m1, told, clock, close } = await watching(1)
  latest(m0).created(10)
  latest(m0).end()
  await clock.advance(200)
  latest(m1).created(12)
  latest(m1).events(11, 12)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 'watch lost:', 'watch resumed', 11, 12])
  await close()
})

test('a silent member is asked for a sign of life, and left when it gives none', async () => {
  const { m0, m1, clock, told, close } = await watching(1)
  latest(m0).created(10)
  await clock.advance(2_000)
  assert.equal(latest(m0).progressRequests, 1)
  latest(m0).progress(10)
  await clock.advance(2_000)
  assert.equal(latest(m0).progressRequests, 2)
  await clock.advance(1_000)
  assert.ok(latest(m0).isCanceled)
  await clock.advance(200)
  assert.equal(latest(m1).from, 11n)
  assert.deepEqual(told, ['watch started', 'watch lost:'])
  await close()
})

test('a request that fails at a member makes its stream prove at once that it lives', async () => {
  const { m0, endpoints, clock, close } = await watching(1)
  latest(m0).created(10)
  endpoints.failed(m0)
  assert.equal(latest(m0).progressRequests, 1)
  await clock.advance(0)
  await close()
})

test('a member that never opens the stream is given up', async () => {
  const { m0, m1, clock, close } = await watching(1)
  await clock.advance(1_000)
  assert.ok(latest(m0).isCanceled)
  await clock.advance(200)
  assert.equal(m1.streams.length, 1)
  await close()
})

test('history compacted beyond the last told revision means a new beginning', async () => {
  const { m0, m1, told, clock, close } = await watching(1)
  latest(m0).created(10)
  latest(m0).end()
  await clock.advance(200)
  latest(m1).created(50)
  latest(m1).compacted(40)
  await clock.advance(200)
  assert.equal(latest(m1).from, undefined)
  latest(m1).created(51)
  latest(m1).events(52)
  await clock.advance(0)
  assert.deepEqual(told.slice(-3), ['asks for', 'watch started', 52])
  await close()
})

test('one stream compacted behind the other only begins later', async () => {
  const { m0, m1, m2, told, clock, close } = await watching(2)
  latest(m0).created(10)
  latest(m1).end()
  latest(m0).events(11, 12)
  await clock.advance(200)
  latest(m2).created(12)
  latest(m2).compacted(12)
  await clock.advance(200)
  assert.equal(m0.streams.length, 1)
  assert.equal(latest(m2).from, 13n)
  assert.deepEqual(told, ['watch started', 11, 12])
  assert.equal(m1.streams.length, 1)
  await close()
})

test('a follower that lags is waited for', async () => {
  const { m0, m1, told, clock, close } = await watching(1)
  latest(m0).created(10)
  latest(m0).events(20)
  await clock.advance(0)
  m0.manner = { revision: 20 }
  m1.manner = { revision: 20 }
  latest(m0).end()
  await clock.advance(200)
  latest(m1).created(15)
  await clock.advance(0)
  assert.equal(latest(m1).from, 21n)
  latest(m1).events(21)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 20, 'watch lost:', 'watch resumed', 21])
  await close()
})

test('etcd that truly went back is watched from its new beginning, and its lower revisions are told', async () => {
  const { members, m0, m1, told, clock, close } = await watching(1)
  latest(m0).created(10)
  latest(m0).events(20)
  for (const member of members) member.manner = { revision: 5 }
  latest(m0).end()
  await clock.advance(200)
  latest(m1).created(5)
  await clock.advance(200)
  assert.equal(latest(m1).from, undefined)
  latest(m1).created(5)
  latest(m1).events(6)
  await clock.advance(0)
  assert.deepEqual(told.slice(-3), ['etcd went', 'watch started', 6])
  await close()
})

test('another cluster id ends all streams and begins anew', async () => {
  const { members, m0, m1, told, clock, close } = await watching(2)
  latest(m0).created(10)
  for (const member of members) member.manner = { clusterId: '77', revision: 3 }
  latest(m1).created(3, '77')
  await clock.advance(200)
  assert.deepEqual([m0.streams.length + m1.streams.length, latest(m0).from], [4, undefined])
  latest(m0).created(3, '77')
  await clock.advance(0)
  assert.deepEqual(told, ['watch started', 'etcd cluster', 'watch started'])
  await close()
})

test('one member of another etcd cluster does not end what the others tell', async () => {
  const { m0, m1, m2, told, clock, close } = await watching(2)
  latest(m0).created(10)
  latest(m1).created(3, '77')
  await clock.advance(0)
  latest(m1).events(4)
  latest(m0).events(11)
  await clock.advance(200)
  assert.deepEqual(told, ['watch started', 11])
  assert.equal(m1.failedAtMs, 0, 'the stranger is asked last')
  assert.equal(latest(m2).from, 12n, 'its place is taken by the third member')
  await close()
})

test('a watch that is refused for lack of permission doubts its token', async () => {
  const { m0, m1, told, clock, close } = await watching(1)
  latest(m0).canceled('rpc error: code = InvalidArgument desc = etcdserver: user name is empty')
  await clock.advance(200)
  latest(m1).canceled('etcdserver: permission denied')
  await clock.advance(0)
  assert.deepEqual([m0.tokenDoubts, m1.tokenDoubts], [1, 1])
  assert.deepEqual(told, [])
  await close()
})

test('a second stream waits for a second member and goes there', async () => {
  const { endpoints, m0, m1, clock, told, close } = await watching(2)
  latest(m0).created(10)
  m1.memberId = 'm0'
  latest(m1).fail('9 FAILED_PRECONDITION: gRPC 14: Connection dropped')
  await clock.advance(0)
  endpoints.setConfigured([m0, m1])
  for (let second = 0; second < 5; second += 1) {
    await clock.advance(1_000)
    latest(m0).progress(10)
  }
  assert.equal(m1.streams.length, 1, 'two names of one member carry one stream')
  m1.memberId = 'm1'
  await clock.advance(1_900)
  assert.equal(latest(m1).from, 11n)
  assert.deepEqual(told, ['watch started'])
  await close()
})

test('when certificates change the streams move one after the other, and nothing is stale', async () => {
  const { endpoints, m0, m1, clock, told, close } = await watching(2)
  latest(m0).created(10)
  latest(m1).created(10)
  endpoints.renew()
  await clock.advance(300)
  assert.deepEqual([m0.streams.length, m1.streams.length], [2, 1])
  latest(m0).created(10)
  await clock.advance(1_000)
  assert.equal(m1.streams.length, 2)
  latest(m1).created(10)
  await clock.advance(0)
  assert.deepEqual(told, ['watch started'])
  assert.deepEqual([m0.failedAtMs, m1.failedAtMs], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])
  await close()
})

test('a member of an older raft term tells nothing: its stream ends, it counts as failed, and the others are heard', async () => {
  const { m0, m1, m2, told, terms, clock, close } = await watching(1)
  latest(m0).created(10)
  terms.raise({ clusterId: '1', revision: 10n, raftTerm: 9n })
  latest(m0).end()
  for (const member of [m0, m2]) member.manner = { revision: 12, term: 9 }
  m1.manner = { revision: 900, term: 2 }
  await clock.advance(200)
  latest(m1).inTerm(2).created(500)
  latest(m1).events(500)
  await clock.advance(200)
  assert.notEqual(m1.failedAtMs, Number.NEGATIVE_INFINITY, 'it counts as failed: no write goes there unasked')
  latest(m2).inTerm(9).created(10)
  latest(m2).events(11, 12)
  await clock.advance(0)
  assert.deepEqual(
    told.filter(one => typeof one === 'number'),
    [11, 12],
  )
  await close()
})

test('failures of other requests do not put off the deadline of a sign of life', async () => {
  const { m0, m1, endpoints, clock, close } = await watching(1)
  latest(m0).created(10)
  for (let count = 0; count < 5; count += 1) {
    endpoints.failed(m0)
    await clock.advance(400)
  }
  assert.equal(m0.streams[0]?.progressRequests, 1, 'asked once')
  assert.equal(m0.streams[0]?.isCanceled, true)
  assert.equal(m1.streams.length, 1, 'the watch went elsewhere')
  await close()
})

test('before anything is known most members say which etcd it is: a stranger or an old disk that answers first tells nothing', async () => {
  for (const [manner, clusterId, term] of [
    [{ clusterId: '77', revision: 900 }, '77', 2],
    [{ term: 2, revision: 900 }, '1', 2],
  ] as const) {
    const { m0, m1, told, terms, clock, close } = await watching(1, members => {
      for (const member of members) member.manner = { term: 9, revision: 10 }
      const [first] = members
      if (first !== undefined) first.manner = manner
    })
    assert.equal(m0.streams.length, 0, 'nothing is watched before it is known')
    await clock.advance(300)
    assert.deepEqual([terms.current()?.clusterId, terms.current()?.raftTerm], ['1', 9n])
    if (m0.streams.length > 0) {
      latest(m0).inTerm(term).created(900, clusterId)
      await clock.advance(200)
    }
    latest(m1).inTerm(9).created(10)
    latest(m1).events(11)
    await clock.advance(0)
    assert.deepEqual(told, ['watch started', 11])
    await close()
  }
})

test('a watch that starts over does not begin at a stranger either', async () => {
  const { endpoints, members, m0, m1, m2, told, clock, close } = await watching(1)
  latest(m0).created(10)
  endpoints.prefer(m1)
  latest(m0).compacted(50)
  for (const member of members) member.manner = { revision: 60 }
  m1.manner = { clusterId: '77', revision: 3 }
  await clock.advance(200)
  assert.equal(latest(m1).from, undefined, 'the next one in turn is the stranger')
  latest(m1).created(3, '77')
  latest(m1).events(4)
  await clock.advance(200)
  latest(m2).created(60)
  latest(m2).events(61)
  await clock.advance(0)
  assert.deepEqual(told.slice(-2), ['watch started', 61])
  assert.ok(!told.includes(4))
  await close()
})

test('an etcd that was replaced while the watch was away is followed once it is believed', async () => {
  const { members, m0, m1, told, clock, close } = await watching(1)
  latest(m0).created(10)
  for (const member of members) member.manner = { clusterId: '77', revision: 3 }
  latest(m0).end()
  await clock.advance(200)
  latest(m1).created(3, '77')
  for (let waitedMs = 0; waitedMs < 5_000; waitedMs += 200) {
    await clock.advance(200)
    for (const member of members) if (member.streams.length > 0) latest(member).created(3, '77')
  }
  assert.equal(told.filter(one => one === 'watch started').length, 2)
  await close()
})
