// The store's contract over the modelled etcd, network and all. Virtual time moves as long as a call or a notice is under way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dcs } from '../../src/dcs/dcs.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { Machine, Process } from '../simulation/core/machine.ts'
import { Network } from '../simulation/core/network.ts'
import { Random } from '../simulation/core/random.ts'
import { Scheduler } from '../simulation/core/scheduler.ts'
import { SimDcs } from '../simulation/etcd/client.ts'
import { EtcdCluster } from '../simulation/etcd/cluster.ts'
import { dcsContract } from './dcs-suite.ts'
import { WatchReader } from './dcs-watch-reader.ts'

/** What is under way after a call has ended (notices of watches) arrives within this time. */
const AFTER_MS = 20
const STORES = ['etcd1', 'etcd2', 'etcd3']

/** A modelled etcd with clients whose calls move the time. */
class Rig {
  readonly random = new Random('contract')
  readonly scheduler = new Scheduler(this.random.fork('order'))
  readonly network = new Network(this.scheduler, this.random.fork('network'))
  readonly clock = new Process('client', new Machine('client', this.scheduler, this.random.fork('machine')))
  readonly #clusters = new Map<string, EtcdCluster>()
  #running: Promise<void> = Promise.resolve()
  #made = 0

  cluster(scope: string): EtcdCluster {
    const known = this.#clusters.get(scope)
    if (known !== undefined) return known
    const made = new EtcdCluster(this.scheduler, this.network, this.random.fork(scope), STORES)
    this.#clusters.set(scope, made)
    return made
  }

  connect(scope: string, machine = 'client'): Dcs {
    this.#made += 1
    const { random, scheduler, network } = this
    const process =
      machine === 'client'
        ? this.clock
        : new Process(machine, new Machine(machine, scheduler, random.fork(machine)))
    const client = new SimDcs({
      process,
      network,
      cluster: this.cluster(scope),
      random: random.fork(`client ${this.#made}`),
    })
    return this.#pumped(client)
  }

  pass(durationMs: number): Promise<void> {
    this.#running = this.#running.then(() => this.scheduler.run(this.scheduler.nowMs + durationMs, () => {}))
    return this.#running
  }

  by(durationMs: number): Deadline {
    return Deadline.in(this.clock, durationMs)
  }

  /** The client, with time running until each of its calls is answered. */
  #pumped(client: Dcs): Dcs {
    const pump = async <T>(call: Promise<T>): Promise<T> => {
      let isOver = false
      const end = () => {
        isOver = true
      }
      call.then(end, end)
      while (!isOver) await this.pass(1)
      await this.pass(AFTER_MS)
      return call
    }
    return {
      read: by => pump(client.read(by)),
      grantLease: (ttl, by) => pump(client.grantLease(ttl, by)),
      keepAlive: (id, by) => pump(client.keepAlive(id, by)),
      leaseLeft: (id, by) => pump(client.leaseLeft(id, by)),
      revokeLease: (id, by) => pump(client.revokeLease(id, by)),
      write: (conditions, writes, by) => pump(client.write(conditions, writes, by)),
      watch: options => client.watch(options),
      close: () => client.close(),
    }
  }
}

dcsContract('simulation', async () => {
  const rig = new Rig()
  return { clock: rig.clock, connect: scope => rig.connect(scope), pass: durationMs => rig.pass(durationMs) }
})

const put = (key: string, value: string, leaseId?: bigint) =>
  leaseId === undefined
    ? ({ kind: 'put', key, value } as const)
    : ({ kind: 'put', key, value, leaseId } as const)

test('a write that meets a frozen member is unknown to its caller and may be applied when the member is thawed', async () => {
  const outcomes = new Set<string>()
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const rig = new Rig()
    const cluster = rig.cluster(`late ${attempt}`)
    const dcs = rig.connect(`late ${attempt}`)
    for (const member of cluster.members) cluster.freeze(member)
    assert.equal((await dcs.write([], [put('leader', 'pg1')], rig.by(1_000))).outcome, 'unknown')
    for (const member of cluster.members) cluster.thaw(member)
    await rig.pass(5_000)
    outcomes.add(cluster.store.key('leader')?.value ?? 'lost')
  }
  assert.ok(outcomes.has('pg1'))
})

test('an election gives every lease its whole life again', async () => {
  const rig = new Rig()
  const cluster = rig.cluster('election')
  const dcs = rig.connect('election')
  const lease = await dcs.grantLease(5, rig.by(1_000))
  await dcs.write([], [put('leader', 'pg1', lease.id)], rig.by(1_000))
  await rig.pass(4_000)
  const leader = cluster.members.find(member => member.name === cluster.leaderName)
  assert.ok(leader !== undefined)
  cluster.kill(leader)
  await rig.pass(5_000)
  assert.equal(cluster.elections, 1)
  assert.equal(cluster.store.key('leader')?.value, 'pg1')
  await rig.pass(5_000)
  assert.equal(cluster.store.key('leader'), undefined)
})

test('a watch that was cut off catches up, and tells stale when the log was compacted meanwhile', async () => {
  for (const isCompacted of [false, true]) {
    const rig = new Rig()
    const cluster = rig.cluster('cut')
    const [writer, reader] = [rig.connect('cut'), rig.connect('cut', 'reader')]
    const watch = new WatchReader(reader, 2)
    await watch.begun()
    const heal = rig.network.cut(STORES.map(store => [store, 'reader'] as const))
    await writer.write([], [put('leader', 'pg1')], rig.by(1_000))
    await rig.pass(1_000)
    assert.equal(watch.seen.length, 0)
    if (isCompacted) cluster.store.compact()
    heal()
    await rig.pass(3_000)
    assert.deepEqual([watch.seen.length, watch.stale.length], isCompacted ? [0, 2] : [1, 1])
    await watch.close()
  }
})
