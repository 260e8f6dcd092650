// Which faults a world draws: a mix of its own from all of them, or such as are no reason to change the leader.

import { compoundFaults } from './compound-faults.ts'
import type { Random } from './core/random.ts'
import { etcdFaults, type Fault, partitions, processes, troubles } from './faults.ts'
import { operatorFaults } from './operator-faults.ts'
import { REMOTE_MACHINES } from './remote-site.ts'

/** In an order that stays: each seed draws by it. New ones go to the end. */
export const allFaults: readonly Fault[] = [
  ...partitions,
  ...processes,
  ...etcdFaults,
  ...troubles,
  ...compoundFaults,
  ...operatorFaults,
]

/** Nothing of this is a reason to change the leader. */
const HARMLESS: readonly string[] = [
  'slow queries',
  'slow archiver',
  'etcd compacted',
  'proxy killed',
  'proxy frozen',
  'proxy without etcd',
  'leader unseen by proxies',
]

/**
 * The leader takes its key again before anybody else does, if nothing else hurts it and its server answers: one that says
 * nothing for longer than a moment is stopped.
 */
const keyDeleted: Fault = {
  name: 'leader key deleted',
  begin: world => {
    if (world.members.every(({ server }) => server.troubles.slowQueryMs === 0)) world.deleteLeaderKey()
    return () => {}
  },
}

export const harmlessFaults: readonly Fault[] = [
  ...allFaults.filter(fault => HARMLESS.includes(fault.name)),
  keyDeleted,
]

/** What happens to the site that a standby cluster follows, and on the way to it. */
export const remoteFaults: readonly Fault[] = [
  {
    name: 'remote site fails over',
    begin: world => {
      world.counts.add('remote site fails over')
      world.remote?.failOver()
      return () => {}
    },
  },
  {
    name: 'remote site unreachable',
    begin: world => {
      world.counts.add('remote site unreachable')
      const pairs = world.members.flatMap(({ machine: { name } }) =>
        REMOTE_MACHINES.flatMap(far => [[name, far] as const, [far, name] as const]),
      )
      return world.network.cut(pairs)
    },
  },
]

/** The mix of one seed: each kind of fault with a weight, many of them 0. */
export function drawMix(random: Random): readonly Fault[] {
  const mix = allFaults.flatMap(fault => {
    const weight = random.chance(0.4) ? random.whole(1, 4) : 0
    return Array.from({ length: weight }, () => fault)
  })
  return mix.length === 0 ? [random.pick(allFaults)] : mix
}
