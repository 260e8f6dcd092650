// The canonical stories: one thing happens to a healthy cluster, and a text file has what everybody said. Each line that
// changes shows in review as a line of a diff.

import { printRequest } from '../../src/cluster/request.ts'
import { wallMsOf } from './core/machine.ts'
import type { SimProxy } from './proxy.ts'
import type { Settings } from './settings.ts'
import { Trace } from './trace.ts'
import { World } from './world.ts'

export interface Story {
  readonly name: string
  /** The file's first line. */
  readonly title: string
  readonly settings: Partial<Settings>
  /** What happens, once the cluster is well. */
  readonly happens: (world: World) => Promise<void>
}

const SEED = 1_000_003
const CALM: Partial<Settings> = {
  durability: 'async',
  isFailsafe: false,
  ttlSeconds: 10,
  loopWaitSeconds: 2,
  retryTimeoutSeconds: 3,
  synchronousNodes: 1,
  checkTimeline: true,
  primaryStartTimeoutSeconds: 300,
  primaryRaceBackoffSeconds: 0,
  directEveryMs: 500,
  writers: 2,
  site: 'main',
  isCascading: false,
  watchdog: 'off',
}
const WELL_MS = 60_000
const HOUR_MS = 3_600_000
/** A leader looks into etcd this soon. */
const LOOKS_WITHIN_MS = 10_000

export const stories: readonly Story[] = [
  {
    name: 'switchover',
    title: 'An operator hands the lead to a member by name.',
    settings: CALM,
    happens: async world => {
      const candidate = world.members.find(member => member !== world.leader())?.name ?? ''
      world.orderSwitchover(world.random('story'), candidate)
      await world.pass(1_000)
    },
  },
  {
    name: 'crash',
    title: "The leader's machine is lost: agent and server vanish, and come back after 30 s.",
    settings: CALM,
    happens: async world => {
      const leader = leaderOf(world)
      world.trace('fault', `the machine of ${leader.name} is lost`)
      leader.killAgent()
      leader.server.killFamily()
      const back = world.cutOff(leader.machine.name)
      await world.pass(30_000)
      world.trace('fault', `the machine of ${leader.name} is back`)
      back()
      leader.startAgent()
    },
  },
  {
    name: 'postmaster-killed',
    title: "The leader's postmaster is killed; its agent lives.",
    settings: CALM,
    happens: async world => {
      const { server, name } = leaderOf(world)
      world.trace('fault', `the postmaster of ${name} is killed`)
      server.killPostmaster()
      await world.pass(5_000)
    },
  },
  {
    name: 'partition',
    title: 'The leader is cut off from everything for 25 s, and goes on living.',
    settings: CALM,
    happens: async world => {
      const { name } = leaderOf(world)
      world.trace('fault', `${name} is cut off`)
      const heal = world.cutOff(name)
      await world.pass(25_000)
      world.trace('fault', `${name} is reachable again`)
      heal()
    },
  },
  {
    name: 'frozen',
    title: "The leader's agent stands still for 15 s while its server runs on.",
    settings: CALM,
    happens: async world => {
      const leader = leaderOf(world)
      world.trace('fault', `the agent of ${leader.name} is stopped (SIGSTOP)`)
      leader.process?.freeze()
      await world.pass(15_000)
      world.trace('fault', `the agent of ${leader.name} goes on (SIGCONT)`)
      leader.process?.thaw()
      leader.noteAbsent()
    },
  },
  {
    name: 'watchdog',
    title: "The leader's machine stands still for 15 s: its watchdog resets it before the lease ends.",
    settings: { ...CALM, watchdog: 'required' },
    happens: async world => {
      const leader = leaderOf(world)
      const { process, server } = leader
      world.trace('fault', `everything on the machine of ${leader.name} stands still`)
      process?.freeze()
      server.process.freeze()
      await world.pass(15_000)
      world.trace('fault', `the machine of ${leader.name} would go on`)
      process?.thaw()
      server.process.thaw()
    },
  },
  {
    name: 'pause',
    title:
      "The cluster is paused, the leader's server is killed, and nobody does anything until the pause ends.",
    settings: CALM,
    happens: async world => {
      const { server, name } = leaderOf(world)
      world.changeConfig({ pause: true })
      await world.pass(5_000)
      world.trace('fault', `the server of ${name} is killed`)
      server.killFamily()
      await world.pass(20_000)
      world.changeConfig({ pause: false })
    },
  },
  {
    name: 'wall-clock',
    title: 'Every machine in turn has a wall clock that is an hour fast, an hour slow, and right again.',
    settings: { ...CALM, durability: 'sync', isFailsafe: true },
    happens: async world => {
      for (const { machine } of [...world.members, ...world.proxies]) {
        for (const hours of [1, -1, 0]) {
          world.trace('fault', `the wall clock of ${machine.name} is wrong by ${hours} h`)
          machine.setWallWrong(hours * HOUR_MS)
          await world.pass(12_000)
        }
      }
    },
  },
  {
    name: 'scheduled-switchover',
    title: 'An operator hands the lead to a member by name, at a time that is still to come.',
    settings: CALM,
    happens: async world => {
      const leader = leaderOf(world).name
      const candidate = world.members.findLast(({ name }) => name !== leader)?.name
      const scheduledAt = new Date(wallMsOf(world.scheduler) + 5_000).toISOString()
      world.trace('operator', `switchover from ${leader} to ${candidate} in 5 s`)
      const value = printRequest({ leader, candidate, scheduledAt })
      world.cluster.store.txn([], [{ kind: 'put', key: 'failover', value }])
      await world.until(() => world.leader()?.name === candidate, WELL_MS, 'story')
    },
  },
  {
    name: 'proxy-frozen',
    title:
      'A proxy stands still with an answer of the leader in its socket; the lead is handed over meanwhile, and others write.',
    settings: { ...CALM, writers: 3 },
    happens: async world => {
      const proxy = await freezeWithAnswer(world)
      const seen = world.clients.reduce((sum, client) => sum + client.acknowledged, 0)
      world.orderSwitchover(
        world.random('story'),
        world.members.find(member => member !== world.leader())?.name,
      )
      await world.pass(2_500)
      const now = world.clients.reduce((sum, client) => sum + client.acknowledged, 0)
      if (now === seen) throw new Error('nobody wrote through the other proxy')
      world.trace('fault', `${proxy.name} goes on (SIGCONT)`)
      proxy.process.thaw()
      await world.pass(1_000)
    },
  },
  {
    name: 'failsafe-flap',
    title:
      'Failsafe mode: etcd is away for 25 s, back just long enough to say that the lease has ended, and away for 25 s again.',
    settings: { ...CALM, isFailsafe: true },
    happens: async world => {
      const leader = leaderOf(world)
      for (const isFlap of [true, false]) {
        world.trace('fault', 'etcd is away')
        for (const member of world.cluster.members) world.cluster.freeze(member)
        await world.pass(25_000)
        const { store } = world.cluster
        store.revoke(store.key('leader')?.leaseId ?? 0n)
        world.trace('fault', 'etcd is back')
        for (const member of world.cluster.members) world.cluster.thaw(member)
        // Long enough to hear that the lease has ended, too short to take the key again.
        if (isFlap) await untilItLooks(world, leader)
      }
    },
  },
  {
    name: 'sync-loss',
    title: 'Synchronous mode: the only synchronous standby is lost for 20 s.',
    settings: { ...CALM, durability: 'sync' },
    happens: world => loseSyncStandby(world),
  },
  {
    name: 'strict-sync-loss',
    title: 'Strict synchronous mode: both standbys are lost for 20 s, and commits wait.',
    settings: { ...CALM, durability: 'strict' },
    happens: world => loseStandbys(world),
  },
  {
    name: 'quorum-crash',
    title: 'Quorum mode: the leader is lost, and one with every acknowledged row takes over.',
    settings: { ...CALM, durability: 'quorum' },
    happens: async world => {
      const leader = leaderOf(world)
      world.trace('fault', `the machine of ${leader.name} is lost`)
      leader.killAgent()
      leader.server.killFamily()
      const back = world.cutOff(leader.machine.name)
      await world.pass(25_000)
      world.trace('fault', `the machine of ${leader.name} is back`)
      back()
      leader.startAgent()
    },
  },
]

/** Lives a story and returns its transcript. Throws when a promise is broken on the way. */
export async function tell({ title, settings, happens }: Story, seed = SEED): Promise<string> {
  const trace = new Trace()
  const world = new World({ seed, trace, settings: { ...settings, isGentle: false } })
  await world.form()
  await world.pass(10_000)
  trace.lines.length = 0
  await happens(world)
  await world.recover()
  const acknowledged = world.clients.reduce((sum, client) => sum + client.acknowledged, 0)
  if (acknowledged === 0) throw new Error('nobody wrote anything')
  return `${[title, '', ...trace.lines.filter(isTelling)].join('\n')}\n`
}

/** Without what is said at every change of anything. */
function isTelling(line: string): boolean {
  return !/ takes (no more )?read sessions| in progress|asking the others/.test(line)
}

function leaderOf(world: World) {
  const leader = world.leader()
  if (leader === undefined) throw new Error('a story begins with a leader')
  return leader
}

/** The first proxy to whose client an answer leaves, stopped with that answer in its socket. */
async function freezeWithAnswer(world: World): Promise<SimProxy> {
  let caught: SimProxy | undefined
  const forget = world.proxies.map(proxy =>
    proxy.trapAnswer(() => {
      if (caught !== undefined) return
      caught = proxy
      world.trace('fault', `${proxy.name} is stopped (SIGSTOP), an answer of the leader on its way to it`)
      proxy.process.freeze()
    }),
  )
  await world.until(() => caught !== undefined, WELL_MS, 'story')
  for (const take of forget) take()
  if (caught === undefined) throw new Error('no answer was caught')
  return caught
}

/** Until the agent has read the keys once more. */
async function untilItLooks(world: World, { name, agent }: ReturnType<typeof leaderOf>): Promise<void> {
  const seenBefore = agent?.status().dcsLastSeenWallMs
  for (let waitedMs = 0; waitedMs < LOOKS_WITHIN_MS; waitedMs += 1) {
    await world.pass(1)
    if (agent?.status().dcsLastSeenWallMs !== seenBefore) return
  }
  throw new Error(`the agent of ${name} did not look into etcd`)
}

async function loseSyncStandby(world: World): Promise<void> {
  const names = world.cluster.store.view().sync?.value?.standbys ?? []
  const standby = world.members.find(({ name }) => names.includes(name))
  if (standby === undefined) throw new Error('a synchronous standby should be there')
  world.trace('fault', `${standby.name} is lost`)
  standby.killAgent()
  standby.server.killFamily()
  const back = world.cutOff(standby.machine.name)
  await world.pass(20_000)
  world.trace('fault', `${standby.name} is back`)
  back()
  standby.startAgent()
  await world.until(() => world.leader() !== undefined, WELL_MS, 'story')
}

async function loseStandbys(world: World): Promise<void> {
  const leader = leaderOf(world)
  const standbys = world.members.filter(member => member !== leader)
  const heals = standbys.map(standby => {
    world.trace('fault', `${standby.name} is lost`)
    standby.killAgent()
    standby.server.killFamily()
    return world.cutOff(standby.machine.name)
  })
  await world.pass(20_000)
  for (const heal of heals) heal()
  for (const standby of standbys) {
    world.trace('fault', `${standby.name} is back`)
    standby.startAgent()
  }
}
