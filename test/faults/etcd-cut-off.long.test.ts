// A leader that reaches one member of etcd only, the raft leader, and that one is cut off from the others: it goes on renewing
// the lease for a moment, while the others count. Leadership ends by our own deadline, before the key can.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LeaseKeeper } from '../../src/agent/lease-keeper.ts'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { by, connect as open } from '../contract/dcs-rig.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'

const TTL_MS = 5_000
const TURN_MS = 500
const timings = { ttlMs: TTL_MS, loopWaitMs: 1_000, retryTimeoutMs: 1_000 }

const work = await makeWorkplace({ after })
const network = await Network.create(work)
const etcd = await EtcdCluster.create(network, 3)
work.defer(() => etcd.remove())
await etcd.start()

for (const transport of ['grpc', 'http'] as Transport[]) {
  test(`${transport}: the raft leader that renews our lease is cut off: leadership ends before the key does`, async t => {
    const cut = await etcd.leader()
    const scope = `cut-off-${transport}`
    const dcs = open([cut.endpoint], { scope, transport, followMembers: false })
    const rest = etcd.members.filter(member => member !== cut).map(member => member.endpoint)
    const majority = open(rest, { scope, followMembers: false })
    t.after(() => Promise.all([dcs.close(), majority.close()]))
    const renewedAtMs: number[] = []
    const keeper = new LeaseKeeper(
      {
        dcs,
        name: 'pg1',
        clock: realClock,
        log: silentLogger,
        onLost: () => {},
        onRenewed: () => void renewedAtMs.push(performance.now()),
      },
      timings,
    )
    keeper.noteTurn()
    keeper.start()
    t.after(() => keeper.stop())
    assert.equal(await keeper.acquire(by(5_000)), 'won')
    let isOver = false
    const turns = (async () => {
      while (!isOver) {
        keeper.noteTurn()
        const asked = keeper.ask()
        await dcs.read(by(1_000)).then(
          ({ leader, position }) => keeper.verify(leader, position, asked),
          () => {},
        )
        await sleep(TURN_MS)
      }
    })()
    await sleep(2_000)
    assert.ok(keeper.leftMs() > TTL_MS / 2)
    await Promise.all(etcd.members.filter(one => one !== cut).map(other => network.cut(cut.host, other.host)))
    const cutMs = performance.now()
    let endedMs: number | undefined
    const watching = (async () => {
      while (endedMs === undefined) {
        if (keeper.leftMs() <= 0) endedMs = performance.now()
        await sleep(10)
      }
    })()
    const goneMs = await waitFor('the key to end', { withinMs: 60_000, everyMs: 20 }, async () => {
      const { leader } = await majority.read(by(2_000))
      return leader === undefined ? performance.now() : undefined
    })
    await watching
    isOver = true
    await turns
    const last = renewedAtMs.at(-1) ?? cutMs
    const sinceCut = (atMs: number) => Math.round(atMs - cutMs)
    t.diagnostic(
      `after the cut: last renewal answered at ${sinceCut(last)} ms, leadership over at ${sinceCut(endedMs ?? 0)} ms, ` +
        `key gone at ${sinceCut(goneMs)} ms`,
    )
    assert.ok(endedMs !== undefined && endedMs < goneMs, 'our own deadline comes first')
    assert.ok(endedMs - cutMs < TTL_MS + TURN_MS + 1_000, 'one ttl after the last linearizable answer')
    await network.heal()
    await etcd.ready()
  })
}
