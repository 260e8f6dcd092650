// Members of etcd that come, go, are cut off from the others, or belong to another cluster: who is asked, and who is
// believed. Three members in a network that can be cut.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { type Dcs, holdOf } from '../../src/dcs/dcs.ts'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import { acquireLeader, releaseLeader } from '../../src/dcs/leadership.ts'
import { EtcdCluster, type EtcdMember } from '../../src/demo/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { by, connect as open } from '../contract/dcs-rig.ts'
import { SingleEtcd } from '../contract/dcs-single.ts'
import { WatchReader } from '../contract/dcs-watch-reader.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const network = await Network.create(work)
const etcd = await EtcdCluster.create(network, 3)
work.defer(() => etcd.remove())
await etcd.start()

function connect(t: TestContext, endpoints: readonly string[], more: Partial<EtcdOptions> = {}) {
  const told: string[] = []
  const dcs = open(endpoints, { onEvent: ({ kind, says }) => void told.push(`${kind}: ${says}`), ...more })
  t.after(() => dcs.close())
  return { dcs, told }
}

const others = (member: EtcdMember) => etcd.members.filter(other => other !== member)

/** Cuts a member off from the other two, while we reach all three. */
async function isolate(member: EtcdMember): Promise<() => Promise<void>> {
  for (const other of others(member)) await network.cut(member.host, other.host)
  return async () => {
    await network.heal()
    await etcd.ready()
  }
}

/** Gives the key from pg1 to pg2, through an election if need be; reads after each write of unknown outcome. */
function changeLeader(dcs: Dcs, leaseId: bigint): Promise<bigint> {
  return waitFor('the leader to be changed', { withinMs: 30_000, everyMs: 10 }, async () => {
    const { leader } = await dcs.read(by(10_000))
    if (leader?.name === 'pg2') return leader.modRevision
    if (leader === undefined) await acquireLeader(dcs, 'pg2', leaseId, by(10_000))
    else await releaseLeader(dcs, holdOf(leader), by(10_000))
    return undefined
  })
}

for (const who of ['the raft leader', 'a follower'] as const) {
  test(`${who} cut off from the others: what it says of leadership is not believed`, async t => {
    const leader = await etcd.leader()
    const cut = who === 'the raft leader' ? leader : others(leader)[0]
    assert.ok(cut !== undefined)
    const scope = who.replaceAll(' ', '-')
    const startAt = etcd.members.indexOf(cut)
    const { dcs } = connect(t, etcd.endpoints, { scope, startAt })
    const { dcs: majority } = connect(
      t,
      others(cut).map(member => member.endpoint),
      { scope, followMembers: false },
    )
    const lease = await majority.grantLease(60, by(5_000))
    assert.equal((await acquireLeader(majority, 'pg1', lease.id, by(5_000))).outcome, 'won')
    const watch = new WatchReader(dcs, 2)
    await watch.begun()
    const old = (await dcs.read(by(5_000))).leader
    assert.ok(old !== undefined)
    const heal = await isolate(cut)
    const startedMs = performance.now()
    // The one that is cut off, asked alone all the while, has nothing to say of leadership: neither before nor after it steps down.
    const { dcs: alone } = connect(t, [cut.endpoint], { scope, followMembers: false })
    const believed: string[] = []
    let isChanged = false
    const asking = (async () => {
      while (!isChanged)
        await alone.read(by(300)).then(
          view => believed.push(String(view.leader?.name)),
          () => {},
        )
    })()
    const taken = await changeLeader(majority, lease.id)
    const changedMs = performance.now()
    isChanged = true
    await asking
    assert.deepEqual(believed, [])
    // Asked at once and for longer than an election: every answer is that of the majority, or none.
    for (let look = 0; look < 20; look += 1) {
      const view = await dcs.read(by(5_000))
      assert.equal(view.leader?.name, 'pg2')
      assert.ok(view.position.revision >= taken)
      assert.equal((await releaseLeader(dcs, holdOf(old), by(5_000))).outcome, 'lost', 'the old term is over')
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    await watch.until(() => watch.seen.some(event => event.value === 'pg2'), 'the change to be told')
    const toldAtMs = watch.seenAtMs[watch.seen.findIndex(event => event.value === 'pg2')] ?? 0
    t.diagnostic(
      `the others had changed the leader ${Math.round(changedMs - startedMs)} ms after the cut; ` +
        `told ${Math.round(toldAtMs - changedMs)} ms after that`,
    )
    await assert.rejects(alone.read(by(1_500)))
    assert.notEqual((await alone.keepAlive(lease.id, by(1_500))).outcome, 'won')
    await heal()
    await watch.close()
  })
}

test('a key outlives its last renewal by at most twice its ttl and an election, when etcd loses its leader meanwhile', async t => {
  const ttlSeconds = 4
  const scope = 'outlived'
  const leader = await etcd.leader()
  const { dcs } = connect(
    t,
    others(leader).map(member => member.endpoint),
    { scope, followMembers: false },
  )
  const lease = await dcs.grantLease(ttlSeconds, by(5_000))
  assert.equal((await acquireLeader(dcs, 'pg1', lease.id, by(5_000))).outcome, 'won')
  const renewed = await dcs.keepAlive(lease.id, by(5_000))
  assert.ok(renewed.outcome === 'won')
  const { sentAtMs } = renewed.lease
  // Shortly before the end: the next raft leader does not know how old the lease is and gives it its whole life again.
  await new Promise(resolve => setTimeout(resolve, ttlSeconds * 1000 - 700))
  await leader.server.kill()
  await waitFor('the key to be gone', { withinMs: 60_000, everyMs: 20 }, async () => {
    return (await dcs.read(by(10_000))).leader === undefined
  })
  const goneMs = performance.now() - sentAtMs
  t.diagnostic(
    `with a ttl of ${ttlSeconds} s the key was gone ${Math.round(goneMs)} ms after its last renewal`,
  )
  assert.ok(goneMs > ttlSeconds * 1000, 'never before its ttl')
  // Twice the ttl, and an election of one to two seconds; five times that on a busy machine.
  assert.ok(goneMs < 2 * ttlSeconds * 1000 + 10_000, `${goneMs} ms`)
  await etcd.start()
})

test('one configured member is enough: when it dies the others of its list are asked, and when those die it again', async t => {
  const [configured, second, third] = etcd.members
  assert.ok(configured !== undefined && second !== undefined && third !== undefined)
  const { dcs, told } = connect(t, [configured.endpoint], { scope: 'topology' })
  await dcs.read(by(5_000))
  await waitFor('the member list to be known', { withinMs: 10_000, everyMs: 50 }, async () =>
    told.some(says => says.startsWith('dcs-members-changed') && says.includes(second.endpoint)),
  )
  const watch = new WatchReader(dcs, 1)
  await watch.begun()
  await configured.server.kill()
  const startedMs = performance.now()
  // The first may have been under way to the dead member: unknown, and written again.
  await waitFor('a write to win', { withinMs: 15_000, everyMs: 10 }, async () => {
    const put = { kind: 'put', key: 'leader', value: 'pg1' } as const
    return (await dcs.write([], [put], by(10_000))).outcome === 'won'
  })
  t.diagnostic(
    `a write after the death of the only configured member took ${Math.round(performance.now() - startedMs)} ms`,
  )
  await watch.until(
    () => watch.seen.some(event => event.value === 'pg1'),
    'the watch to go on at another member',
  )
  assert.ok(told.some(says => says.startsWith('dcs-endpoint-changed')))
  const report = await dcs.inspect(by(5_000))
  assert.deepEqual(
    report.endpoints.map(({ endpoint, isLearned, fault }) => [endpoint, isLearned, fault === undefined]),
    [
      [configured.endpoint, false, false],
      [second.endpoint, true, true],
      [third.endpoint, true, true],
    ],
  )
  // All that was learned is gone; what was configured is back, as after a move to new hosts.
  await Promise.all([second.server.kill(), third.server.kill()])
  await assert.rejects(dcs.read(by(1_000)))
  await etcd.startMember(configured)
  await etcd.startMember(second)
  await etcd.ready([configured, second])
  assert.equal((await dcs.read(by(15_000))).leader?.name, 'pg1')
  await etcd.start()
  await watch.close()
})

test('another etcd among the configured ones is passed over while a known member answers, and taken when none does', async t => {
  const stranger = await SingleEtcd.start(work, 61, ['--initial-cluster-token=stranger'])
  const [known] = etcd.members
  assert.ok(known !== undefined)
  const configured = [known.endpoint, stranger.endpoint]
  const { dcs, told } = connect(t, configured, { scope: 'stranger', startAt: 0 })
  const first = await dcs.read(by(5_000))
  await waitFor('the member list to be known', { withinMs: 10_000, everyMs: 50 }, async () =>
    told.some(says => says.startsWith('dcs-members-changed')),
  )
  assert.equal(
    (await dcs.write([], [{ kind: 'put', key: 'leader', value: 'pg1' }], by(5_000))).outcome,
    'won',
  )
  known.server.freeze().catch(() => {})
  // The members that the known one named answer for it; the stranger's empty scope is never shown.
  for (let look = 0; look < 5; look += 1) assert.equal((await dcs.read(by(8_000))).leader?.name, 'pg1')
  assert.notEqual(
    (
      await dcs.write(
        [{ kind: 'absent', key: 'leader' }],
        [{ kind: 'put', key: 'leader', value: 'pg9' }],
        by(5_000),
      )
    ).outcome,
    'won',
  )
  known.server.thaw()
  await etcd.ready()
  await Promise.all(etcd.members.map(member => member.server.kill()))
  const replaced = await dcs.read(by(20_000))
  assert.notEqual(replaced.position.clusterId, first.position.clusterId)
  assert.equal(replaced.leader, undefined)
  await etcd.start()
})
