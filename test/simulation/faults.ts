// The ways in which a world can be hurt. Each fault begins at once and ends by itself or at `heal`; a seed draws its own
// mix of them (swarm testing), so that rare pairs meet often in some seeds.

import type { Random } from './core/random.ts'
import type { EtcdMember } from './etcd/cluster.ts'
import type { SimMember } from './member.ts'
import { REMOTE_MACHINES } from './remote-site.ts'
import type { World } from './world.ts'

/** Begins a fault that lasts `durationMs`; the result ends it, and may be called twice. */
export interface Fault {
  readonly name: string
  begin(world: World, random: Random, durationMs: number): () => void
}

/** Does it the first time that it is called. */
export const once = (end: () => void): (() => void) => {
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    end()
  }
}

export const machines = (world: World) => world.members.map(member => member.machine.name)
export const stores = (world: World) => world.cluster.members.map(member => member.name)
/** The leader more often than not, or any member. */
export const leaderOr = (world: World, random: Random): SimMember =>
  (random.chance(0.65) ? world.leader() : undefined) ?? random.pick(world.members)

/** Both directions between each of the ones and each of the others. */
export const both = (some: readonly string[], others: readonly string[]) =>
  some.flatMap(one => others.flatMap(other => [[one, other] as const, [other, one] as const]))
const oneWay = (some: readonly string[], others: readonly string[]) =>
  some.flatMap(one => others.map(other => [one, other] as const))

/** Cuts these directions, under a name that is counted; the result heals them. */
export function cut(world: World, name: string, pairs: readonly (readonly [string, string])[]): () => void {
  world.counts.add(`partition ${name}`)
  return world.network.cut(pairs)
}

/** Every machine but `name`. */
export function others(world: World, name: string): readonly string[] {
  const far = world.remote === undefined ? [] : REMOTE_MACHINES
  const proxies = world.proxies.map(proxy => proxy.name)
  return [...machines(world), ...stores(world), ...proxies, ...far, 'client'].filter(one => one !== name)
}

export const partitions: readonly Fault[] = [
  {
    name: 'member alone',
    begin: (world, random) => {
      const { name } = leaderOr(world, random).machine
      return cut(world, 'member alone', both([name], others(world, name)))
    },
  },
  {
    name: 'member without etcd',
    begin: (world, random) =>
      cut(world, 'member without etcd', both([leaderOr(world, random).machine.name], stores(world))),
  },
  {
    name: 'requests to etcd lost',
    begin: (world, random) =>
      cut(world, 'requests to etcd lost', oneWay([leaderOr(world, random).machine.name], stores(world))),
  },
  {
    name: 'answers of etcd lost',
    begin: (world, random) =>
      cut(world, 'answers of etcd lost', oneWay(stores(world), [leaderOr(world, random).machine.name])),
  },
  {
    name: 'member without members',
    begin: (world, random) => {
      const { name } = leaderOr(world, random).machine
      const rest = machines(world).filter(one => one !== name)
      return cut(world, 'member without members', both([name], rest))
    },
  },
  {
    name: 'island with clients',
    begin: (world, random) => {
      const { name } = leaderOr(world, random).machine
      const rest = [...machines(world).filter(one => one !== name), ...stores(world)]
      return cut(world, 'island with clients', both([name], rest))
    },
  },
  {
    name: 'leader unseen by proxies',
    begin: (world, random) => {
      const { name } = leaderOr(world, random).machine
      return cut(
        world,
        'leader unseen by proxies',
        both([name], [...world.proxies.map(one => one.name), 'client']),
      )
    },
  },
  {
    name: 'proxy without etcd',
    begin: (world, random) =>
      cut(world, 'proxy without etcd', both([random.pick(world.proxies).name], stores(world))),
  },
  {
    name: 'etcd halves',
    begin: (world, random) => {
      const [alone = '', ...rest] = random.shuffled(stores(world))
      const near = random.shuffled(machines(world)).slice(0, random.whole(0, 2))
      const far = machines(world).filter(one => !near.includes(one))
      return cut(world, 'etcd halves', both([alone, ...near], [...rest, ...far]))
    },
  },
  {
    name: 'ring',
    begin: (world, random) => {
      const [a = '', b = '', c = ''] = random.shuffled(stores(world))
      const [x = '', y = '', z = ''] = random.shuffled(machines(world))
      return cut(world, 'ring', [...both([a], [b]), ...both([x], [y]), ...both([x], [a]), ...both([z], [c])])
    },
  },
]

function freeze(world: World, what: string, random: Random, processes: readonly (() => void)[]): () => void {
  const ttlMs = world.settings.ttlSeconds * 1000
  const durationMs = random.chance(0.5) ? random.between(300, ttlMs) : random.between(ttlMs, 2.5 * ttlMs)
  world.counts.add(`freeze ${what}`)
  if (durationMs > ttlMs) world.counts.add('freezes over ttl')
  const end = once(() => {
    for (const thaw of processes) thaw()
  })
  world.scheduler.in(durationMs, end)
  return end
}

/** SIGSTOP for the agent; the result is SIGCONT. */
export function stopAgent(member: SimMember): () => void {
  const { process } = member
  process?.freeze()
  return () => {
    if (process === undefined) return
    process.thaw()
    if (process === member.process) member.noteAbsent()
  }
}

function stopServer({ server }: SimMember): () => void {
  server.process.freeze()
  return () => server.process.thaw()
}

export const processes: readonly Fault[] = [
  {
    name: 'agent killed',
    begin: (world, random) => {
      const member = leaderOr(world, random)
      world.counts.add('agent killed')
      member.killAgent()
      world.scheduler.in(random.between(300, 12_000), () => member.startAgent())
      return () => member.startAgent()
    },
  },
  {
    name: 'agent stopped in order',
    begin: (world, random) => {
      world.counts.add('agent stopped in order')
      leaderOr(world, random).stopAgent()
      return () => {}
    },
  },
  {
    name: 'postmaster killed',
    begin: (world, random) => {
      world.counts.add('postmaster killed')
      const { server } = leaderOr(world, random)
      if (random.chance(0.3)) server.troubles.failingStarts = random.whole(1, 5)
      server.killPostmaster()
      return () => {}
    },
  },
  {
    name: 'machine lost',
    begin: (world, random) => {
      const member = leaderOr(world, random)
      world.counts.add('machine lost')
      member.powerOff()
      // A machine that is down answers nothing, not even a refusal.
      const up = world.network.cut(both([member.machine.name], others(world, member.machine.name)))
      const end = once(() => {
        up()
        member.startAgent()
      })
      world.scheduler.in(random.between(1_000, 20_000), end)
      return end
    },
  },
  {
    name: 'agent frozen',
    begin: (world, random) => freeze(world, 'agent', random, [stopAgent(leaderOr(world, random))]),
  },
  {
    name: 'server frozen',
    begin: (world, random) => freeze(world, 'server', random, [stopServer(leaderOr(world, random))]),
  },
  {
    name: 'machine frozen',
    begin: (world, random) => {
      const member = leaderOr(world, random)
      return freeze(world, 'machine', random, [stopAgent(member), stopServer(member)])
    },
  },
  {
    name: 'machine suspended',
    begin: (world, random) => {
      const member = leaderOr(world, random)
      member.machine.suspend()
      const resume = () => member.machine.resume()
      return freeze(world, 'machine by suspend', random, [resume, stopAgent(member), stopServer(member)])
    },
  },
  {
    name: 'proxy frozen',
    begin: (world, random) => {
      const { process } = random.pick(world.proxies)
      process.freeze()
      return freeze(world, 'proxy', random, [() => process.thaw()])
    },
  },
  {
    name: 'proxy killed',
    begin: (world, random) => {
      const proxy = random.pick(world.proxies)
      world.counts.add('proxy killed')
      proxy.kill()
      world.scheduler.in(random.between(500, 5_000), () => proxy.restart())
      return () => proxy.restart()
    },
  },
]

function anyStore(world: World, random: Random): EtcdMember {
  const { cluster } = world
  const leader = cluster.members.find(member => member.name === cluster.leaderName)
  return random.chance(0.6) && leader !== undefined ? leader : random.pick(cluster.members)
}

export const etcdFaults: readonly Fault[] = [
  {
    name: 'etcd member killed',
    begin: (world, random) => {
      const member = anyStore(world, random)
      world.counts.add('etcd member killed')
      world.cluster.kill(member)
      return once(() => world.cluster.restart(member))
    },
  },
  {
    name: 'etcd member frozen',
    begin: (world, random) => {
      const member = anyStore(world, random)
      world.counts.add('etcd member frozen')
      world.cluster.freeze(member)
      return once(() => world.cluster.thaw(member))
    },
  },
  {
    name: 'etcd frozen',
    begin: world => {
      world.counts.add('etcd frozen')
      for (const member of world.cluster.members) world.cluster.freeze(member)
      return once(() => {
        for (const member of world.cluster.members) world.cluster.thaw(member)
      })
    },
  },
  {
    name: 'etcd slow',
    begin: (world, random) => {
      world.counts.add('etcd slow')
      world.cluster.slowMs = random.between(200, 3_000)
      return () => {
        world.cluster.slowMs = 0
      }
    },
  },
  {
    name: 'etcd compacted',
    begin: world => {
      world.counts.add('etcd compacted')
      world.cluster.store.compact()
      return () => {}
    },
  },
]

export const troubles: readonly Fault[] = [
  {
    name: 'network slow',
    begin: (world, random) => {
      world.counts.add('network slow')
      return world.network.slowDown(
        random.pick([...machines(world), ...stores(world)]),
        random.between(100, 2_500),
      )
    },
  },
  {
    name: 'network loses',
    begin: (world, random) => {
      world.counts.add('network loses')
      world.network.lossRate = random.between(0.02, 0.2)
      return () => {
        world.network.lossRate = 0
      }
    },
  },
  trouble('slow start', (random, { troubles: own }) => {
    own.slowStartMs = random.between(1_000, 15_000)
  }),
  trouble('slow promotion', (random, { troubles: own }) => {
    own.slowPromoteMs = random.between(500, 8_000)
  }),
  trouble('slow queries', (random, { troubles: own }) => {
    own.slowQueryMs = random.between(300, 4_000)
  }),
  trouble('slow archiver', (random, { troubles: own }) => {
    own.slowArchiveMs = random.between(500, 8_000)
  }),
  trouble('failing rewind', (random, { troubles: own }) => {
    own.failingRewinds = random.whole(1, 2)
  }),
  {
    name: 'switchover',
    begin: (world, random) => {
      world.orderSwitchover(random)
      return () => {}
    },
  },
  {
    name: 'paused',
    begin: world => {
      world.counts.add('paused')
      world.changeConfig({ pause: true })
      return () => world.changeConfig({ pause: false })
    },
  },
  {
    name: 'watchdog broken',
    begin: (world, random) => {
      const { watchdog } = leaderOr(world, random)
      world.counts.add('watchdog broken')
      watchdog.isBroken = true
      return () => {
        watchdog.isBroken = false
      }
    },
  },
  {
    name: 'other ttl',
    begin: (world, random) => {
      world.changeConfig({ ttl: random.pick([5, 6, 8, 12]) })
      return () => {}
    },
  },
]

function trouble(name: string, change: (random: Random, server: SimMember['server']) => void): Fault {
  return {
    name,
    begin: (world, random) => {
      const { server } = random.pick(world.members)
      world.counts.add(name)
      change(random, server)
      return () => {
        server.troubles.slowStartMs = 0
        server.troubles.slowPromoteMs = 0
        server.troubles.slowQueryMs = 0
        server.troubles.slowArchiveMs = 0
        server.troubles.failingStarts = 0
        server.troubles.failingRewinds = 0
      }
    },
  }
}
