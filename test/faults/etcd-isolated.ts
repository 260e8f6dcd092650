// A member of etcd that is cut off from the others while we reach all three.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Dcs, holdOf } from '../../src/dcs/dcs.ts'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import { acquireLeader, releaseLeader } from '../../src/dcs/leadership.ts'
import type { EtcdCluster, EtcdMember } from '../../src/demo/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { by, connect as open } from '../contract/dcs-rig.ts'
import { WatchReader } from '../contract/dcs-watch-reader.ts'
import type { Network } from '../support/netns.ts'

/** The tests for one transport, on three members whose network can be cut. */
export function isolatedMembers(etcd: EtcdCluster, network: Network, transport: Transport): void {
  const named = transport === 'grpc' ? '' : `${transport}: `
  for (const who of ['the raft leader', 'a follower'] as const) {
    test(`${named}${who} cut off from the others: what it says of leadership is not believed`, async t => {
      const leader = await etcd.leader()
      const cut = who === 'the raft leader' ? leader : etcd.members.find(member => member !== leader)
      assert.ok(cut !== undefined)
      const scope = `${transport} ${who}`.replaceAll(' ', '-')
      const startAt = etcd.members.indexOf(cut)
      const connect = (endpoints: readonly string[], more: Partial<EtcdOptions>) => {
        const dcs = open(endpoints, { scope, transport, ...more })
        t.after(() => dcs.close())
        return dcs
      }
      const dcs = connect(etcd.endpoints, { startAt })
      const others = etcd.members.filter(member => member !== cut).map(member => member.endpoint)
      const majority = connect(others, { followMembers: false })
      const lease = await majority.grantLease(60, by(5_000))
      assert.equal((await acquireLeader(majority, 'pg1', lease.id, by(5_000))).outcome, 'won')
      const watch = new WatchReader(dcs, 2)
      await watch.begun()
      const old = (await dcs.read(by(5_000))).leader
      assert.ok(old !== undefined)
      const heal = await isolate(etcd, network, cut)
      const startedMs = performance.now()
      // The one that is cut off, asked alone all the while, has nothing to say of leadership: neither before nor after it steps down.
      const alone = connect([cut.endpoint], { followMembers: false })
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
        assert.equal(
          (await releaseLeader(dcs, holdOf(old), by(5_000))).outcome,
          'lost',
          'the old term is over',
        )
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
}

/** Cuts a member off from the other two, while we reach all three. */
async function isolate(
  etcd: EtcdCluster,
  network: Network,
  member: EtcdMember,
): Promise<() => Promise<void>> {
  for (const other of etcd.members.filter(one => one !== member)) await network.cut(member.host, other.host)
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
