// Several things at once, at the one moment at which they matter together: what drawn faults meet too seldom.

import type { Random } from './core/random.ts'
import { both, cut, type Fault, machines, once, others, stopAgent, stores } from './faults.ts'
import type { SimMember } from './member.ts'
import type { World } from './world.ts'

/** Its power is gone and nothing reaches it, until the result is called. */
function lose(world: World, member: SimMember): () => void {
  member.powerOff()
  const back = world.network.cut(both([member.machine.name], others(world, member.machine.name)))
  return once(() => {
    back()
    member.startAgent()
  })
}

/** None of the standbys sees another one; each sees etcd. */
function standbysApart(world: World): () => void {
  const leader = world.leader()?.machine.name
  const standbys = machines(world).filter(name => name !== leader)
  const pairs = standbys.flatMap((name, index) => both([name], standbys.slice(index + 1)))
  return cut(world, 'standbys apart', pairs)
}

/**
 * A proxy is stopped with the answer of the leader in its socket, and then that leader's term ends: when the proxy goes on, the
 * answer is of a term that is over.
 */
function freezeWithAnswer(
  world: World,
  random: Random,
  awayMs: number,
  ends: (leader: SimMember) => () => void,
): () => void {
  const proxy = random.pick(world.proxies)
  const { process } = proxy
  let end = () => {}
  const forget = proxy.trapAnswer(server => {
    const member = world.members.find(one => one.server === server)
    if (member === undefined) return
    world.counts.add('proxy frozen with an answer')
    process.freeze()
    let back = () => {}
    // By then the answer has come in.
    world.scheduler.in(ANSWER_ARRIVES_MS, () => {
      back = ends(member)
    })
    end = once(() => {
      process.thaw()
      world.scheduler.in(THAWED_FIRST_MS, () => back())
    })
    world.scheduler.in(awayMs, end)
  })
  return () => {
    forget()
    end()
  }
}

const ANSWER_ARRIVES_MS = 3
const THAWED_FIRST_MS = 10

export const compoundFaults: readonly Fault[] = [
  { name: 'standbys apart', begin: world => standbysApart(world) },
  {
    name: 'leader lost, standbys apart',
    begin: world => {
      const leader = world.leader()
      const heal = standbysApart(world)
      if (leader === undefined) return heal
      world.counts.add('leader lost, standbys apart')
      const back = lose(world, leader)
      return () => {
        heal()
        back()
      }
    },
  },
  {
    name: 'proxy frozen over a failover',
    begin: (world, random) => {
      const awayMs = random.between(1.5, 2.5) * world.settings.ttlSeconds * 1000
      return freezeWithAnswer(world, random, awayMs, leader => lose(world, leader))
    },
  },
  {
    name: 'blind proxy beside an abandoned leader',
    begin: (world, random) => {
      const leader = world.leader()
      if (leader === undefined) return () => {}
      world.counts.add('blind proxy beside an abandoned leader')
      const busy = world.proxies.filter(({ sessionCount }) => sessionCount > 0)
      const { name } = random.pick(busy.length > 0 ? busy : world.proxies)
      const heal = world.network.cut(both([name], stores(world)))
      const thaw = stopAgent(leader)
      const end = once(() => {
        heal()
        thaw()
      })
      world.scheduler.in(random.between(1.2, 2.5) * world.settings.ttlSeconds * 1000, end)
      return end
    },
  },
  {
    name: 'proxy frozen over a switchover',
    begin: (world, random) =>
      freezeWithAnswer(world, random, random.between(1_000, 3_000), () => {
        world.orderSwitchover(random)
        return () => {}
      }),
  },
]
