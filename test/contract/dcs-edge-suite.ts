// etcd's sharper edges, each on real members: late writes, silent members, compaction, restores, a replaced cluster.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { type Dcs, holdOf } from '../../src/dcs/dcs.ts'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import { acquireLeader, releaseLeader } from '../../src/dcs/leadership.ts'
import { createDcsMetrics } from '../../src/dcs/metrics.ts'
import { HaError } from '../../src/platform/errors.ts'
import type { Workplace } from '../support/workplace.ts'
import { Relay } from './dcs-relay.ts'
import { by, connect as open, startEtcd } from './dcs-rig.ts'
import { SingleEtcd } from './dcs-single.ts'
import { WatchReader } from './dcs-watch-reader.ts'

/** A stream that stands on a frozen member alone needs seconds; two streams need milliseconds, and busy machines some. */
const TOLD_MAX_MS = 1_000

const put = (key: string, value: string) => ({ kind: 'put', key, value }) as const
async function relayTo(t: TestContext, ...args: Parameters<typeof Relay.to>): Promise<Relay> {
  const relay = await Relay.to(...args)
  t.after(() => relay.close())
  return relay
}

const pause = (durationMs: number) => new Promise(resolve => setTimeout(resolve, durationMs))

/** The same tests for each transport; `work` is the file's own place. */
export function edges(work: Workplace, transport: Transport): void {
  /** A client that is closed with its test, however that ends. */
  function connect(t: TestContext, endpoints: readonly string[], more: Partial<EtcdOptions> = {}): Dcs {
    const dcs = open(endpoints, { transport, ...more })
    t.after(() => dcs.close())
    return dcs
  }

  /** A client that counts as an agent's does, and tells the kinds of its events. */
  function observed(t: TestContext, endpoints: readonly string[], more: Partial<EtcdOptions> = {}) {
    const registry = new Registry()
    const told: string[] = []
    const dcs = connect(t, endpoints, {
      metrics: createDcsMetrics(registry),
      onEvent: ({ kind }) => void told.push(kind),
      ...more,
    })
    /** The sum over all labels. */
    const count = async (name: string) => {
      const metric = await registry.getSingleMetric(name)?.get()
      return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN
    }
    return { dcs, told, count }
  }

  describe(`edges of etcd over ${transport}`, { concurrency: 3 }, () => {
    test('a write to a frozen member comes late after the thaw: a guarded one is refused by its compare, one that was given up is unknown', async t => {
      const etcd = await startEtcd(work, 30, 3)
      const leading = await etcd.leader()
      const member = etcd.members.find(one => one !== leading)
      assert.ok(member !== undefined)
      const late = connect(t, [member.endpoint])
      const {
        dcs: other,
        told,
        count,
      } = observed(
        t,
        etcd.members.filter(one => one !== member).map(one => one.endpoint),
      )
      const lease = await other.grantLease(60, by(5_000))
      await acquireLeader(late, 'pg1', lease.id, by(5_000))
      const { leader } = await late.read(by(5_000))
      assert.ok(leader !== undefined)

      // Each request stands behind an answer that is younger than the time in which a member counts as alive.
      await late.read(by(5_000))
      const freezing = member.server.freeze()
      const numbers = Array.from({ length: 20 }, (_, number) => number)
      const givenUp = numbers.map(() => releaseLeader(late, holdOf(leader), by(500)))
      const waiting = [
        releaseLeader(late, holdOf(leader), by(10_000)),
        acquireLeader(late, 'late', lease.id, by(10_000)),
      ]
      const plain = late.write([], [put('pgherd/late', 'x')], by(10_000))
      for (const { outcome } of await Promise.all(givenUp)) assert.equal(outcome, 'unknown')
      await freezing
      await releaseLeader(other, holdOf(leader), by(2_000))
      const next = await acquireLeader(other, 'pg2', lease.id, by(2_000))
      assert.equal(next.outcome, 'won')
      member.server.thaw()
      assert.ok(
        ((await plain).revision ?? 0n) > (next.revision ?? 0n),
        'what nothing guards was applied late',
      )
      assert.deepEqual(
        (await Promise.all(waiting)).map(({ outcome }) => outcome),
        ['lost', 'lost'],
      )
      await etcd.ready()
      await pause(500)
      assert.equal((await other.read(by(5_000))).leader?.name, 'pg2')
      assert.equal((await acquireLeader(other, 'pg3', lease.id, by(5_000))).outcome, 'lost')
      assert.ok(told.includes('dcs-compare-refused'), told.join())
      assert.equal(await count('pgherd_dcs_refused_compares_total'), 1)
    })

    test('with one member frozen, a watch on two members still tells a deletion within milliseconds', async t => {
      const etcd = await startEtcd(work, 31, 3)
      for (const frozen of etcd.members) {
        // The watcher prefers this member and the next; writes go through the others.
        const proxy = connect(t, etcd.endpoints, { startAt: etcd.members.indexOf(frozen) })
        const others = etcd.members.filter(member => member !== frozen)
        const agent = connect(
          t,
          others.map(member => member.endpoint),
        )
        const watch = new WatchReader(proxy, 2)
        await watch.begun()
        await pause(300)
        await agent.write([], [put('leader', 'pg1')], by(5_000))
        await watch.events(1)
        await frozen.server.freeze()
        // If that was the raft leader, a write would be lost in the election: wait until reads are answered again.
        await agent.read(by(8_000))
        const started = performance.now()
        assert.equal((await agent.write([], [{ kind: 'delete', key: 'leader' }], by(8_000))).outcome, 'won')
        const answeredMs = performance.now()
        await watch.events(2)
        const delayMs = (watch.seenAtMs[1] ?? Number.NaN) - answeredMs
        t.diagnostic(
          `${frozen.name} frozen: delete answered after ${(answeredMs - started).toFixed(1)} ms, ` +
            `told ${delayMs.toFixed(1)} ms after the answer`,
        )
        assert.ok(delayMs < TOLD_MAX_MS, `told after ${delayMs} ms`)
        await watch.until(() => watch.stale.length === 1, 'no further stale')
        frozen.server.thaw()
        await etcd.ready()
      }
    })

    test('a member that falls silent without closing is left within seconds, and nothing is lost', async t => {
      const etcd = await startEtcd(work, 32, 3)
      const [first, second] = etcd.members
      assert.ok(first !== undefined && second !== undefined)
      const relay = await relayTo(t, first.host.address, first.clientPort)
      const { dcs, told, count } = observed(t, [relay.endpoint, second.endpoint], { watchSilenceMs: 500 })
      const writer = connect(t, [second.endpoint])
      const watch = new WatchReader(dcs, 1)
      await watch.begun()
      relay.mute()
      const startedMs = performance.now()
      await writer.write([], [put('leader', 'pg1')], by(5_000))
      await watch.events(1)
      const tookMs = (watch.seenAtMs[0] ?? 0) - startedMs
      t.diagnostic(`watch on one member that fell silent: the event came after ${tookMs.toFixed(0)} ms`)
      assert.ok(tookMs < 8_500)
      await dcs.read(by(8_000))
      for (const kind of ['dcs-watch-lost', 'dcs-endpoint-changed'])
        assert.ok(told.includes(kind), `${kind} among ${told.join()}`)
      for (const name of ['watch_restarts', 'endpoint_changes'])
        assert.ok((await count(`pgherd_dcs_${name}_total`)) > 0, name)
    })

    test('a watch whose history was compacted starts over and says so', async t => {
      const etcd = await SingleEtcd.start(work, 33)
      const relay = await relayTo(t, etcd.address, etcd.port)
      const { dcs, told, count } = observed(t, [relay.endpoint])
      const writer = connect(t, [etcd.endpoint])
      const watch = new WatchReader(dcs, 2)
      await watch.begun()
      await writer.write([], [put('leader', 'pg1')], by(5_000))
      await watch.events(1)
      await relay.cut()
      for (let count = 0; count < 10; count += 1)
        await writer.write([], [put('config', `{"n":${count}}`)], by(5_000))
      const { revision } = await writer.write([], [put('leader', 'pg2')], by(5_000))
      await etcd.ctl('compact', String(revision))
      await relay.heal()
      const healedMs = performance.now()
      await watch.until(() => watch.stale.some(why => why.includes('compacted')), 'the compaction to be told')
      await watch.until(() => watch.stale.at(-1)?.includes('started') === true, 'the watch to start over')
      t.diagnostic(
        `a watch whose history is gone started over after ${Math.round(performance.now() - healedMs)} ms`,
      )
      const after = await writer.write([], [{ kind: 'delete', key: 'leader' }], by(5_000))
      await watch.events(2)
      assert.deepEqual(watch.seen.at(-1), { kind: 'delete', key: 'leader', revision: after.revision })
      assert.ok(told.includes('dcs-watch-reset'), told.join())
      assert.ok((await count('pgherd_dcs_watch_stale_total')) > 0)
    })

    test('etcd restored as itself, with an older revision and term, is believed again', async t => {
      const etcd = await SingleEtcd.start(work, 34)
      const told: string[] = []
      const dcs = connect(t, [etcd.endpoint], { onEvent: ({ kind }) => void told.push(kind) })
      await dcs.write([], [put('leader', 'pg1')], by(5_000))
      const file = await etcd.snapshot()
      // Each restart of a lone member is an election: the term rises above what it will be after the restore.
      for (let count = 0; count < 3; count += 1) await etcd.restart()
      const watch = new WatchReader(dcs, 2)
      await watch.begun()
      for (let count = 0; count < 5; count += 1) await dcs.write([], [put('leader', 'pg2')], by(5_000))
      const before = (await dcs.read(by(5_000))).position
      await etcd.restore(file)
      const view = await dcs.read(by(10_000))
      assert.equal(view.position.clusterId, before.clusterId, 'the case is about the same cluster id')
      assert.ok(
        view.position.raftTerm < before.raftTerm,
        `term ${view.position.raftTerm} after ${before.raftTerm}`,
      )
      assert.ok(view.position.revision < before.revision)
      assert.equal(view.leader?.name, 'pg1')
      await watch.until(() => watch.stale.some(why => why.includes('went back')), 'the restore to be told')
      assert.ok(told.includes('dcs-restored'), told.join())
      await toldAfterwards(dcs, watch)
    })

    test('a member of an older raft term, brought up alone from an old disk, is neither read nor written while ours lived a moment ago', async t => {
      const ours = await SingleEtcd.start(work, 39)
      for (let count = 0; count < 2; count += 1) await ours.restart()
      const stale = await SingleEtcd.start(work, 48, ours.sameIdentity)
      const there = connect(t, [stale.endpoint])
      for (let count = 0; count < 5; count += 1) await there.write([], [put('config', '{}')], by(5_000))
      const told: string[] = []
      const dcs = connect(t, [ours.endpoint, stale.endpoint], {
        followMembers: false,
        onEvent: ({ kind }) => void told.push(kind),
      })
      const lease = await dcs.grantLease(60, by(5_000))
      await dcs.write([], [put('leader', 'pg2')], by(5_000))
      const { position } = await dcs.read(by(5_000))
      const theirs = (await there.read(by(5_000))).position
      assert.equal(theirs.clusterId, position.clusterId, 'the case is about the same cluster id')
      assert.ok(theirs.raftTerm < position.raftTerm && theirs.revision > position.revision)
      const watch = new WatchReader(dcs, 2)
      await watch.begun()
      await ours.server.freeze()
      // Until then a write goes to whoever answered last.
      await pause(500)
      await there.write([], [put('pgherd/theirs', 'x')], by(5_000))
      const [read, taken, written, renewed] = await Promise.allSettled([
        dcs.read(by(2_000)),
        acquireLeader(dcs, 'pg1', lease.id, by(2_000)),
        dcs.write([], [put('pgherd/mark', 'x')], by(2_000)),
        dcs.keepAlive(lease.id, by(2_000)),
      ])
      assert.equal(read.status, 'rejected', 'nobody who is believed answered')
      assert.ok(taken.status === 'fulfilled' && taken.value.outcome !== 'won', 'no leader by the old disk')
      assert.ok(
        written.status === 'fulfilled' && written.value.outcome !== 'won',
        'nothing counts as written',
      )
      assert.ok(renewed.status === 'fulfilled' && renewed.value.outcome !== 'won', 'no lease of the old disk')
      // On a machine that is too busy it is slow before it is not believed.
      assert.ok(told.includes('dcs-not-believed') || told.includes('dcs-slow-call'), told.join())
      const left = await there.read(by(5_000))
      assert.deepEqual(
        [left.leader, [...left.own.keys()]],
        [undefined, ['theirs']],
        'nothing was written there',
      )
      assert.deepEqual(watch.seen, [], 'and nothing of it was told')
      await assert.rejects(dcs.leaseLeft(lease.id, by(1_000)))
      ours.server.thaw()
      assert.equal((await dcs.read(by(5_000))).leader?.name, 'pg2')
      await watch.close()
    })

    test('another etcd cluster behind the same address is noticed, and its events are told', async t => {
      const old = await SingleEtcd.start(work, 35, ['--initial-cluster-token=old'])
      const fresh = await SingleEtcd.start(work, 36, ['--initial-cluster-token=new'])
      const relay = await relayTo(t, old.address, old.port)
      const port = Number(relay.endpoint.split(':')[1])
      const told: string[] = []
      const dcs = connect(t, [relay.endpoint], { onEvent: ({ kind }) => void told.push(kind) })
      const watch = new WatchReader(dcs, 1)
      await watch.begun()
      await dcs.write([], [put('leader', 'pg1')], by(5_000))
      const before = (await dcs.read(by(5_000))).position
      await relay.close()
      await relayTo(t, fresh.address, fresh.port, port)
      const view = await dcs.read(by(10_000))
      assert.notEqual(view.position.clusterId, before.clusterId)
      assert.equal(view.leader, undefined)
      await watch.until(
        () => watch.stale.some(why => why.includes('in place of')),
        'the new cluster to be told',
      )
      assert.ok(told.includes('dcs-restored'), told.join())
      await toldAfterwards(dcs, watch)
    })

    test('an etcd without space: a write is unknown, reads and renewals go on, and after a compaction all is well', async t => {
      const etcd = await SingleEtcd.start(work, 49, [`--quota-backend-bytes=${256 * 1024}`])
      const dcs = connect(t, [etcd.endpoint])
      const lease = await dcs.grantLease(60, by(5_000))
      assert.equal((await acquireLeader(dcs, 'pg1', lease.id, by(5_000))).outcome, 'won')
      const page = 'x'.repeat(16 * 1024)
      const fill = () => dcs.write([], [put('pgherd/page', page)], by(5_000))
      let written = await fill()
      for (let count = 0; written.outcome === 'won' && count < 200; count += 1) written = await fill()
      assert.equal(written.outcome, 'unknown')
      assert.equal((await dcs.keepAlive(lease.id, by(5_000))).outcome, 'won')
      const { leader, position } = await dcs.read(by(5_000))
      assert.equal(leader?.name, 'pg1')
      await etcd.ctl('compact', String(position.revision))
      await etcd.ctl('defrag')
      await etcd.ctl('alarm', 'disarm')
      const disarmedMs = performance.now()
      assert.equal((await dcs.write([], [put('pgherd/page', '')], by(5_000))).outcome, 'won')
      t.diagnostic(
        `writes again ${Math.round(performance.now() - disarmedMs)} ms after the alarm was taken back`,
      )
    })

    test('a wrong password is an authentication error, and the right one works', async t => {
      const etcd = await SingleEtcd.start(work, 37)
      await etcd.ctl('user', 'add', 'root:secret')
      await etcd.ctl('user', 'grant-role', 'root', 'root')
      await etcd.ctl('auth', 'enable')
      const auth = { username: 'root', password: 'wrong' }
      const [wrong, none] = [connect(t, [etcd.endpoint], { auth }), connect(t, [etcd.endpoint])]
      const right = connect(t, [etcd.endpoint], { auth: { ...auth, password: 'secret' } })
      for (const dcs of [wrong, none]) {
        await assert.rejects(
          dcs.read(by(15_000)),
          error => error instanceof HaError && error.code === 'E_DCS_AUTH',
        )
        assert.equal((await dcs.write([], [put('leader', 'x')], by(15_000))).outcome, 'unreachable')
      }
      const watch = new WatchReader(right, 1)
      await watch.begun()
      assert.equal((await right.write([], [put('leader', 'pg1')], by(15_000))).outcome, 'won')
      await watch.events(1)
      const lease = await right.grantLease(10, by(15_000))
      assert.equal((await right.keepAlive(lease.id, by(15_000))).outcome, 'won')
    })

    test('after close a process with a frozen and a dead endpoint ends by itself', async t => {
      const etcd = await startEtcd(work, 38, 3)
      const [frozen, dead] = etcd.members
      await frozen?.server.freeze()
      await dead?.server.kill()
      const script = path.resolve(import.meta.dirname, 'dcs-exit.ts')
      const child = spawn(process.execPath, [script, transport, ...etcd.endpoints], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let printed = ''
      child.stdout.on('data', chunk => {
        printed += String(chunk)
      })
      const code = await new Promise(resolve => child.on('exit', resolve))
      const closedForMs = /closed for (\d+) ms/.exec(printed)?.[1]
      t.diagnostic(`a process ended ${closedForMs} ms after close: ${code}`)
      assert.equal(code, 0)
      assert.ok(Number(closedForMs) < 2_500, printed)
      frozen?.server.thaw()
    })
  })
}

/** After continuity was given up, the next change is told again. */
async function toldAfterwards(dcs: Dcs, watch: WatchReader): Promise<void> {
  await watch.until(() => watch.stale.at(-1)?.includes('started') === true, 'the watch to start over')
  const { revision } = await dcs.write([], [put('leader', 'pg9')], by(5_000))
  await watch.until(() => watch.seen.at(-1)?.value === 'pg9', 'the change to be told')
  assert.equal(watch.seen.at(-1)?.revision, revision)
}
