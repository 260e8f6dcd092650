// A storm of events under the prefix, in which the leader's change must be neither lost nor late.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Written } from '../../src/dcs/dcs.ts'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import type { EtcdCluster } from '../../src/demo/etcd.ts'
import { by, connect as open } from './dcs-rig.ts'
import { WatchReader } from './dcs-watch-reader.ts'

const STORM_PUTS = 10_000
const STORM_AT_ONCE = 50
const put = (key: string, value: string) => ({ kind: 'put', key, value }) as const
const pause = (durationMs: number) => new Promise(resolve => setTimeout(resolve, durationMs))

/** The test for one transport, on three members. */
export function stormOfPuts(etcd: EtcdCluster, transport: Transport): void {
  const named = transport === 'grpc' ? '' : `${transport}: `
  test(`${named}10,000 puts and compactions under two streams neither lose nor delay the leader’s change`, async t => {
    const scope = `storm-${transport}`
    const [dcs, stormer, agent] = [0, 1, 2].map(startAt =>
      open(etcd.endpoints, { scope, startAt, transport }),
    )
    assert.ok(dcs !== undefined && stormer !== undefined && agent !== undefined)
    t.after(() => Promise.all([dcs.close(), stormer.close(), agent.close()]))
    const watch = new WatchReader(dcs, 2)
    await watch.begun()
    let isOver = false
    let puts = 0
    const storm = async () => {
      // One put a write, and as many under way as a busy etcd has: each is an event of its own.
      for (let batch = 0; batch < STORM_PUTS / STORM_AT_ONCE; batch += 1) {
        const writes = Array.from({ length: STORM_AT_ONCE }, (_, index) =>
          stormer.write([], [put(`pgherd/storm${index}`, `${batch}`)], by(10_000)),
        )
        const written: readonly Written[] = await Promise.all(writes)
        assert.ok(written.every(({ outcome }) => outcome === 'won'))
        puts += written.length
        if (batch % 50 === 49) await etcd.ctl(['compact', String(written[0]?.revision)])
      }
    }
    const storming = storm().finally(() => {
      isOver = true
    })
    const changes: { readonly revision: bigint; readonly atMs: number }[] = []
    while (!isOver) {
      const name = `pg${changes.length % 2}`
      const { revision = 0n } = await agent.write([], [put('leader', name)], by(10_000))
      changes.push({ revision, atMs: performance.now() })
      await pause(20)
    }
    await storming
    await watch.until(
      () => watch.seen.length >= puts + changes.length,
      'every put and every change to be told',
    )
    assert.equal(watch.seen.filter(event => event.key === 'leader').length, changes.length)
    const atMs = new Map(watch.seen.map((event, index) => [event.revision, watch.seenAtMs[index] ?? 0]))
    const delaysMs = changes
      .map(change => (atMs.get(change.revision) ?? 0) - change.atMs)
      .sort((a, b) => a - b)
    const worstMs = delaysMs.at(-1) ?? Number.NaN
    t.diagnostic(
      `${puts} puts, ${changes.length} changes of the leader: told ${worstMs.toFixed(1)} ms after the answer at worst, ` +
        `median ${(delaysMs[delaysMs.length >> 1] ?? 0).toFixed(1)} ms; stale told ${watch.stale.length - 1} times`,
    )
    assert.equal(watch.seen.length, puts + changes.length, 'nothing comes twice')
    const revisions = new Set(watch.seen.map(({ revision }) => revision))
    assert.equal(revisions.size, puts + changes.length, 'each is a revision of its own')
    assert.deepEqual(watch.stale.slice(1), [])
    assert.ok(worstMs < 500, `${worstMs} ms`)
    await watch.close()
  })
}
