// What people do to a cluster: orders that it carries out, and mistakes that it must survive.

import { printRequest } from '../../src/cluster/request.ts'
import { wallMsOf } from './core/machine.ts'
import type { Random } from './core/random.ts'
import type { Fault } from './faults.ts'
import type { SimMember } from './member.ts'
import type { World } from './world.ts'

/**
 * Somebody empties the leader's data directory. That is the loss of all that the leader alone has: nobody would do it, and no
 * cluster could survive it, unless all others are at hand on its timeline, and in a synchronous mode one of them may lead.
 */
function emptyDirectory(world: World, random: Random): void {
  const leader = world.leader()
  const data = leader?.server.data
  if (leader === undefined || data === undefined || world.isStandby) return
  const heirs = world.cluster.store.view().sync?.value
  // One of them can be elected by the votes of the others; right after a promotion only the leader itself could.
  const isHeir = heirs?.leader === leader.name && heirs.standbys.length > heirs.quorum
  if (world.settings.durability !== 'async' && !isHeir) return
  const isCopy = ({ server }: SimMember) =>
    server.state === 'running' &&
    server.receiver?.isStreaming === true &&
    server.data?.timeline === data.timeline
  if (!leader.server.isPrimary || !world.members.every(member => member === leader || isCopy(member))) return
  world.counts.add('data directory of the leader emptied')
  world.trace('operator', `empties the data directory of ${leader.name}`)
  if (random.chance(0.3)) deleteInitialize(world)
  leader.server.killFamily()
  leader.server.data = undefined
}

function deleteInitialize(world: World): void {
  world.counts.add('initialize key deleted')
  world.trace('operator', 'deletes the initialize key')
  world.cluster.store.txn([], [{ kind: 'delete', key: 'initialize' }])
}

export const operatorFaults: readonly Fault[] = [
  {
    name: 'scheduled switchover',
    begin: (world, random, durationMs) => {
      const leader = world.leader()?.name
      if (leader === undefined) return () => {}
      const candidate = random.pick(world.members.map(({ name }) => name).filter(name => name !== leader))
      const inMs = random.between(0, durationMs)
      const scheduledAt = new Date(wallMsOf(world.scheduler) + inMs).toISOString()
      world.counts.add('switchover scheduled')
      world.trace('operator', `switchover from ${leader} to ${candidate} in ${Math.round(inMs)} ms`)
      const value = printRequest({ leader, candidate, scheduledAt })
      world.cluster.store.txn([], [{ kind: 'put', key: 'failover', value }])
      return () => {}
    },
  },
  {
    // What such a world promises is what an asynchronous cluster does.
    name: 'synchronous for a while',
    begin: (world, random) => {
      if (world.settings.durability !== 'async') return () => {}
      world.counts.add('synchronous for a while')
      world.changeConfig({ synchronous_mode: random.pick([true, 'quorum']) })
      return () => world.changeConfig({ synchronous_mode: false })
    },
  },
  {
    name: 'initialize key deleted',
    begin: world => {
      deleteInitialize(world)
      return () => {}
    },
  },
  {
    name: 'data directory of the leader emptied',
    begin: (world, random) => {
      emptyDirectory(world, random)
      return () => {}
    },
  },
]
