// Members of etcd that come, go, are cut off from the others, or belong to another cluster: who is asked, and who is
// believed. Three members in a network that can be cut.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import { acquireLeader } from '../../src/dcs/leadership.ts'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { by, connect as open } from '../contract/dcs-rig.ts'
import { SingleEtcd } from '../contract/dcs-single.ts'
import { WatchReader } from '../contract/dcs-watch-reader.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { isolatedMembers } from './etcd-isolated.ts'

const work = await makeWorkplace({ after })
const network = await Network.create(work)
const etcd = await EtcdCluster.create(network, 3)
work.defer(() => etcd.remove())
await etcd.start()

const STRANGER = '127.0.61.11:2379'

function connect(t: TestContext, endpoints: readonly string[], more: Partial<EtcdOptions> = {}) {
  const told: string[] = []
  const dcs = open(endpoints, { onEvent: ({ kind, says }) => void told.push(`${kind}: ${says}`), ...more })
  t.after(() => dcs.close())
  return { dcs, told }
}

isolatedMembers(etcd, network, 'grpc')

test('a key outlives its last renewal by at most twice its ttl and an election, when etcd loses its leader meanwhile', async t => {
  const ttlSeconds = 4
  const scope = 'outlived'
  const leader = await etcd.leader()
  const { dcs } = connect(
    t,
    etcd.members.filter(member => member !== leader).map(member => member.endpoint),
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

test('another etcd among the configured ones is passed over while a known member answers, and when none does it is not taken at once', async t => {
  const [known] = etcd.members
  assert.ok(known !== undefined)
  await etcd.ready()
  // It comes up later: at the first contact nothing tells the two apart.
  const configured = [known.endpoint, STRANGER]
  const { dcs, told } = connect(t, configured, { scope: 'stranger', startAt: 0 })
  const first = await dcs.read(by(5_000))
  // A list that could not be had at the first contact is asked for again after 30 s.
  await waitFor('the member list to be known', { withinMs: 60_000, everyMs: 250 }, async note => {
    await dcs.read(by(5_000))
    note(told.join('; '))
    return told.some(says => says.startsWith('dcs-members-changed'))
  })
  const stranger = await SingleEtcd.start(work, 61, ['--initial-cluster-token=stranger'])
  assert.equal(stranger.endpoint, STRANGER)
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
  // One of two is no majority: for a minute it might be a stranger beside members that are only away.
  await assert.rejects(dcs.read(by(8_000)), { code: 'E_DCS_STALE' })
  await etcd.start()
  assert.equal((await dcs.read(by(10_000))).position.clusterId, first.position.clusterId)
})
