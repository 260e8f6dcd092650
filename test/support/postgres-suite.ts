// What every implementation of the Postgres port must do. Run over the model of the simulation and over real servers.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Lsn } from '../../src/cluster/lsn.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import type { Postgres, ServerFacts, ServerRole, StopOptions, Upstream } from '../../src/postgres/port.ts'

/** One server under test. */
export interface ServerUnderTest {
  readonly name: string
  readonly port: Postgres
  readonly upstream: Upstream
  /** Commits one row as an application does; false when it is not acknowledged within `withinMs`. */
  write(withinMs: number): Promise<boolean>
}

/** Where the suite runs. */
export interface PostgresWorld {
  readonly clock: Clock
  /** A server whose data directory does not exist yet. Slots for all of them are made by the suite. */
  member(name: string): Promise<ServerUnderTest>
  /** Runs `call` with time passing until it has settled. */
  settle<T>(call: Promise<T>): Promise<T>
  pass(durationMs: number): Promise<void>
  close(): Promise<void>
}

const never = new AbortController().signal
const NAMES = ['one', 'two', 'three']

/** The suite's own words for what it does with the servers. */
class Scene {
  readonly #world: PostgresWorld

  constructor(world: PostgresWorld) {
    this.#world = world
  }

  by(durationMs = 20_000): Deadline {
    return Deadline.in(this.#world.clock, durationMs)
  }

  async facts({ port, name }: ServerUnderTest): Promise<ServerFacts> {
    const { facts, trouble } = await this.#world.settle(port.status(this.by(5_000)))
    assert.ok(facts !== undefined, `${name} tells no facts: ${trouble ?? ''}`)
    return facts
  }

  start({ port }: ServerUnderTest, as: ServerRole, upstream?: Upstream): Promise<boolean> {
    return this.#world.settle(port.start(as, upstream, never))
  }

  stop({ port }: ServerUnderTest, options: Partial<StopOptions> = {}) {
    return this.#world.settle(port.stop({ mode: 'fast', checkpointFirst: false, by: this.by(), ...options }))
  }

  divergence({ port }: ServerUnderTest, leader: ServerUnderTest) {
    return this.#world.settle(port.divergence(leader.upstream, this.by()))
  }

  async until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
    const by = this.by(20_000)
    while (!(await isTrue())) {
      assert.ok(!by.isOver(), `${what}: not in time`)
      await this.#world.pass(100)
    }
  }

  async copy(to: ServerUnderTest, from: ServerUnderTest): Promise<void> {
    const slots = new Map(NAMES.filter(name => name !== from.name).map(name => [name, undefined] as const))
    await this.#world.settle(from.port.syncSlots(slots, await this.facts(from), this.by()))
    await this.#world.settle(to.port.clone(from.upstream, never))
    assert.equal(await this.start(to, 'replica', from.upstream), true)
    await this.streams(to, from)
  }

  /** Waits until `standby` has everything that `primary` has now. */
  async streams(standby: ServerUnderTest, primary: ServerUnderTest): Promise<void> {
    const { writeLsn = 0n } = await this.facts(primary)
    await this.until(`${standby.name} streams`, async () => {
      const facts = await this.facts(standby)
      return facts.replicationState === 'streaming' && (facts.receivedLsn ?? 0n) >= writeLsn
    })
  }
}

/** Registers the contract's tests; they tell one story on three servers, in order. */
export function postgresContract(name: string, open: () => Promise<PostgresWorld>): void {
  describe(`port contract: ${name}`, { concurrency: 1 }, () => {
    let world: PostgresWorld
    let scene: Scene
    let [one, two, three]: ServerUnderTest[] = []
    const servers = () => {
      if (one === undefined || two === undefined || three === undefined) throw new Error('no servers')
      return { one, two, three }
    }
    after(() => world.close())

    test('bootstrap ends with a running primary on timeline 1', async () => {
      world = await open()
      scene = new Scene(world)
      ;[one, two, three] = [await world.member('one'), await world.member('two'), await world.member('three')]
      const { one: first } = servers()
      const before = await world.settle(first.port.status(scene.by(5_000)))
      assert.deepEqual([before.process, before.dataDirectory], ['stopped', 'empty'])
      const systemId = await world.settle(first.port.bootstrap(never))
      const facts = await scene.facts(first)
      assert.deepEqual([facts.role, facts.timeline, facts.systemId], ['primary', 1, systemId])
      assert.match(facts.postmasterStartTime, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d$/)
      assert.equal(await first.write(5_000), true)
    })

    test('a copy streams under its own name and knows whom it follows', async () => {
      const { one: first, two: second, three: third } = servers()
      await scene.copy(second, first)
      await scene.copy(third, first)
      const { senders, writeLsn = 0n } = await scene.facts(first)
      assert.deepEqual(senders.map(sender => sender.applicationName).sort(), ['three', 'two'])
      assert.ok(writeLsn > 0n)
      assert.equal(second.port.isFollowing(first.upstream), true)
      assert.equal(second.port.isFollowing(undefined), false)
      const facts = await scene.facts(second)
      assert.deepEqual([facts.role, facts.timeline, facts.writeLsn], ['replica', 1, undefined])
      assert.equal((await scene.divergence(second, first)).kind, 'none')
    })

    test('a commit waits for the standbys that are named, and is let go when they are named no more', async () => {
      const { one: first } = servers()
      assert.equal(await world.settle(first.port.setSynchronousStandbys('nobody', scene.by())), true)
      await scene.until('names are in effect', async () => {
        const { synchronous } = await scene.facts(first)
        return synchronous?.names === 'nobody' && synchronous.isCheckpointerAtRest
      })
      assert.equal(await first.write(1_500), false)
      assert.equal(
        await world.settle(first.port.setSynchronousStandbys('ANY 1 (two,three)', scene.by())),
        true,
      )
      assert.equal(await first.write(5_000), true)
      const states = (await scene.facts(first)).senders.map(sender => sender.syncState)
      assert.deepEqual(states, ['quorum', 'quorum'])
      await world.settle(first.port.setSynchronousStandbys(undefined, scene.by()))
    })

    test('a fast stop tells its shutdown checkpoint, which every standby then has', async () => {
      const { one: first, two: second, three: third } = servers()
      let told: Lsn | undefined
      const result = await scene.stop(first, { onShutDown: lsn => (told = lsn) })
      assert.equal(result.stopped, true)
      assert.equal(result.shutdownCheckpointLsn, told)
      assert.ok(told !== undefined)
      for (const standby of [second, third]) {
        const { receivedLsn = 0n } = await scene.facts(standby)
        assert.ok(receivedLsn > told)
      }
      assert.equal((await world.settle(first.port.controlData(scene.by())))?.state, 'shut down')
    })

    test('a promotion begins a timeline, with its history, and takes writes', async () => {
      const { two: second } = servers()
      assert.equal(await world.settle(second.port.promote(scene.by())), true)
      const facts = await scene.facts(second)
      assert.deepEqual([facts.role, facts.timeline], ['primary', 2])
      const history = await world.settle(second.port.historyLines(2, scene.by()))
      assert.deepEqual(
        history?.map(line => line.timeline),
        [1],
      )
      assert.equal(await second.write(5_000), true)
    })

    test('a primary that stopped in order follows the new one without a rewind', async () => {
      const { one: first, two: second } = servers()
      const slots = new Map([
        ['one', undefined],
        ['three', undefined],
      ] as const)
      await world.settle(second.port.syncSlots(slots, await scene.facts(second), scene.by()))
      assert.equal((await scene.divergence(first, second)).kind, 'none')
      assert.equal(await scene.start(first, 'replica', second.upstream), true)
      await scene.streams(first, second)
      assert.equal((await scene.facts(first)).timeline, 2)
    })

    test('a standby goes over to the new primary by reload', async () => {
      const { two: second, three: third } = servers()
      assert.equal(await world.settle(third.port.follow(second.upstream, scene.by())), true)
      assert.equal(third.port.isFollowing(second.upstream), true)
      await scene.streams(third, second)
    })

    test('an immediate stop leaves a crashed server, whose extra rows are diverged and rewound', async () => {
      const { one: first, two: second, three: third } = servers()
      assert.equal(await world.settle(first.port.follow(undefined, scene.by())), true)
      assert.equal(await world.settle(third.port.follow(undefined, scene.by())), true)
      await scene.until('nobody streams', async () => (await scene.facts(second)).senders.length === 0)
      assert.equal(await second.write(5_000), true)
      await scene.stop(second, { mode: 'immediate' })
      assert.equal((await world.settle(second.port.controlData(scene.by())))?.state, 'in production')
      assert.equal(await world.settle(first.port.promote(scene.by())), true)
      assert.equal(await first.write(5_000), true)
      const divergence = await scene.divergence(second, first)
      assert.equal(divergence.kind, 'diverged')
      const slots = new Map([
        ['two', undefined],
        ['three', undefined],
      ] as const)
      await world.settle(first.port.syncSlots(slots, await scene.facts(first), scene.by()))
      const rewound = await world.settle(second.port.rewind(first.upstream, divergence, never))
      assert.equal(rewound.ok, true, rewound.says)
      assert.ok(rewound.discardedBytes > 0n)
      assert.equal(await scene.start(second, 'replica', first.upstream), true)
      await scene.streams(second, first)
      assert.equal((await scene.facts(second)).timeline, 3)
    })

    test('a leader that is a standby is nobody to compare with', async () => {
      const { two: second, three: third } = servers()
      assert.equal((await scene.divergence(third, second)).kind, 'unknown')
    })

    test('the family is killed until nobody is left', async () => {
      const { one: first } = servers()
      assert.ok((await world.settle(first.port.killFamily())) > 0)
      await scene.until('nobody is left', async () => (await world.settle(first.port.killFamily())) === 0)
      await scene.until('it is seen', async () => {
        return (await world.settle(first.port.status(scene.by(5_000)))).process === 'stopped'
      })
      assert.equal(await scene.start(first, 'primary'), true)
      assert.equal((await scene.facts(first)).timeline, 3)
    })

    test('setting aside leaves an empty directory', async () => {
      const { three: third } = servers()
      await scene.stop(third, { mode: 'immediate' })
      await world.settle(third.port.setAside(scene.by()))
      const { process, dataDirectory } = await world.settle(third.port.status(scene.by(5_000)))
      assert.deepEqual([process, dataDirectory], ['stopped', 'empty'])
    })
  })
}
