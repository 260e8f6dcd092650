// What every turn ends with, one round of it: what is written for others, what is asked of the server, what is tried again.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Callbacks } from '../../../src/agent/callbacks.ts'
import type { LeaseKeeper } from '../../../src/agent/lease-keeper.ts'
import type { AgentParts } from '../../../src/agent/parts.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Tasks } from '../../../src/agent/tasks.ts'
import { Upkeep } from '../../../src/agent/upkeep.ts'
import { parseLsn } from '../../../src/cluster/lsn.ts'
import { unconditionalRestart } from '../../../src/cluster/restart.ts'
import type { Write } from '../../../src/dcs/dcs.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { ServerFacts, Slot } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { config, facts, OUR_LEASE, type ViewSpec, view } from './scene.ts'

const names = (named: readonly { readonly name: string }[]) => named.map(({ name }) => name).join()

interface Scene {
  readonly name?: string
  readonly server?: Partial<ServerFacts>
  readonly seen?: ViewSpec
  readonly dynamic?: object
  /** Calls of the server that fail, the first time. */
  readonly failing?: string
  /** What the server's slots needed. */
  readonly done?: readonly string[]
}

/** One member after a look at its server; `pg1` holds the key. `said` has what was done, in order. */
function scene({ name = 'pg1', server = {}, seen = {}, dynamic = {}, failing = '', done = [] }: Scene = {}) {
  const said: string[] = []
  const written = new Map<string, unknown>()
  let left = 1
  const call = (what: string) => {
    const isFailing = what.split(' ')[0] === failing && left > 0
    if (isFailing) left -= 1
    said.push(isFailing ? `${what}, fails` : what)
    if (isFailing) throw new Error('the server said no')
  }
  const clock = new FakeClock()
  const state = new AgentState(config(dynamic))
  state.view = view({ leader: 'pg1', ...seen })
  const isLeader = name === 'pg1'
  const role = isLeader ? 'primary' : 'replica'
  state.server = { ...state.server, process: 'running', facts: facts({ role, ...server }) }
  const parts = {
    clock,
    log: {
      ...silentLogger,
      info: (text: string) => said.push(text),
      warning: (text: string) => said.push(`warning: ${text}`),
    },
    local: {
      name,
      postgres: { connectAddress: { host: '10.0.0.1', port: 5432 }, database: 'postgres' },
      tags: {},
    },
    apiUrl: 'http://10.0.0.1:8008/patroni',
    version: '0.1.0',
    settingsFor: () => ({ warnings: ['work_mem is not a size'], port: state.config.ttlSeconds }),
    dcs: {
      write: async (_conditions: unknown, writes: readonly Write[]) => {
        for (const write of writes) if (write.kind === 'put') written.set(write.key, JSON.parse(write.value))
        return { outcome: 'won', revision: 600n }
      },
    },
    postgres: {
      configure: async () => call('configure'),
      setSynchronousStandbys: async (names: string | undefined) => {
        call(`names ${names || 'nobody'}`)
        return true
      },
      endStarvedReplay: async () => call('replay'),
      keepDynamicConfig: async () => call('keep'),
      syncSlots: async (
        slots: ReadonlyMap<string, unknown>,
        now: ServerFacts,
        _by: unknown,
        logical: readonly { readonly name: string }[],
        keepsAll: boolean,
      ) => {
        call(`slots ${[...slots.keys()].join()}`)
        if (keepsAll) said.push(`kept ${names(now.slots)}, logical ${names(logical)}`)
        return done
      },
      historyLines: async () => [
        { timeline: 1, switchLsn: parseLsn('0/3000000'), reason: 'no recovery target specified' },
        { timeline: 2, switchLsn: parseLsn('0/5000000'), reason: 'no recovery target specified' },
      ],
    },
  } as unknown as AgentParts
  const keeper = {
    ensureLease: async () => OUR_LEASE,
    hold: isLeader ? { name, createRevision: 100n, modRevision: 100n, leaseId: OUR_LEASE } : undefined,
  } as unknown as LeaseKeeper
  const callbacks = { reloaded: (as: string) => void said.push(`on_reload ${as}`) } as unknown as Callbacks
  const tasks = new Tasks(clock, silentLogger, () => {})
  const upkeep = new Upkeep(parts, state, keeper, tasks, callbacks)
  return { said, written, state, upkeep }
}

const physical = (name: string, restart: string): Slot =>
  ({ name, isPhysical: true, restartLsn: parseLsn(restart), isActive: true }) as unknown as Slot

test('the first settings are given to a server without a word to scripts, the next ones with on_reload', async () => {
  const { said, state, upkeep } = scene()
  await upkeep.run()
  assert.deepEqual(said.slice(0, 2), ['configure', 'warning: work_mem is not a size'])
  said.length = 0
  await upkeep.run()
  assert.ok(!said.includes('configure'), 'the same settings were given again')
  state.config = config({ ttl: 45 })
  await upkeep.run()
  assert.deepEqual(
    said.filter(what => /configure|on_reload/.test(what)),
    ['configure', 'on_reload primary'],
  )
})

test('settings that a server did not take are given again in the next turn, and nobody is told that they count', async () => {
  const { said, state, upkeep } = scene({ failing: 'configure' })
  await upkeep.run()
  assert.deepEqual(said.slice(0, 2), [
    'configure, fails',
    'warning: configuration not updated: the server said no',
  ])
  assert.equal(state.usedConfigRevision, undefined)
  said.length = 0
  await upkeep.run()
  assert.equal(said[0], 'configure')
  assert.equal(state.usedConfigRevision, 10n)
})

test('a configuration that could not be kept beside the data is written again in the next turn, and then no more', async () => {
  const { said, upkeep } = scene({ failing: 'keep' })
  for (let turn = 0; turn < 3; turn += 1) await upkeep.run()
  assert.deepEqual(
    said.filter(what => /^keep/.test(what)),
    ['keep, fails', 'keep'],
  )
})

const replays = [
  [
    'a standby whose replay is paused by its own server is helped on',
    'pg2',
    { isReplayPaused: true },
    {},
    true,
  ],
  ['a standby that replays is left alone', 'pg2', { isReplayPaused: false }, {}, false],
  ['a primary has no replay', 'pg1', { isReplayPaused: true }, {}, false],
  ['in a pause a paused replay is the operator’s', 'pg2', { isReplayPaused: true }, { pause: true }, false],
] as const
for (const [text, name, server, dynamic, want] of replays) {
  test(`${text}`, async () => {
    const { said, upkeep } = scene({ name, server, dynamic })
    await upkeep.run()
    assert.equal(said.includes('replay'), want)
  })
}

test('a standby waits for nobody, is told so once, and again when the server refused', async () => {
  const { said, upkeep, state } = scene({
    name: 'pg2',
    dynamic: { synchronous_mode: true },
    failing: 'names',
  })
  state.synchronousNames = { isKnown: true, names: 'pg3' }
  for (let turn = 0; turn < 3; turn += 1) await upkeep.run()
  assert.deepEqual(
    said.filter(what => /^names/.test(what)),
    ['names nobody, fails', 'names nobody'],
  )
})

test('the status key has the position of the leader under its own slot and of every other slot as it stands', async () => {
  const slots = [physical('pg1', '0/100'), physical('pg2', '0/200'), physical('pg3', '0/300')]
  const { written, upkeep } = scene({ server: { slots } })
  await upkeep.run()
  const status = written.get('status') as { readonly optime: number; readonly slots: object }
  assert.equal(status.optime, 1000)
  assert.deepEqual(status.slots, { pg1: 1000, pg2: 0x200, pg3: 0x300 })
})

test('the history key gets the new line with time and leader, and keeps what it knew of the older ones', async () => {
  const known = [1, 0x3000000, 'no recovery target specified', '2026-11-24T04:00:00+00:00', 'pg3']
  const { written, upkeep } = scene({ server: { timeline: 3 }, seen: { history: JSON.stringify([known]) } })
  await upkeep.run()
  const lines = written.get('history') as readonly (readonly unknown[])[]
  assert.deepEqual(lines[0], known)
  assert.deepEqual([lines[1]?.[0], lines[1]?.[1], lines[1]?.[4]], [2, 0x5000000, 'pg1'])
  assert.match(String(lines[1]?.[3]), /^20\d\d-/)
})

test('an older line that nobody had written keeps no leader: it was somebody else’s term', async () => {
  const { written, upkeep } = scene({ server: { timeline: 3 } })
  await upkeep.run()
  const lines = written.get('history') as readonly (readonly unknown[])[]
  assert.deepEqual([lines[0]?.length, lines[1]?.[4]], [3, 'pg1'])
})

test('the member key tells of a scheduled restart, and of none where there is none', async () => {
  const { written, upkeep, state } = scene()
  await upkeep.touchMember()
  assert.ok(!('scheduled_restart' in (written.get('members/pg1') as object)))
  const at = '2026-11-27T03:00:00+00:00'
  const postmasterStartTime = '2026-11-24 04:00:00.000000+00:00'
  state.scheduledRestart = {
    conditions: unconditionalRestart,
    at,
    atWallMs: Date.parse(at),
    postmasterStartTime,
  }
  await upkeep.touchMember()
  const { scheduled_restart: told } = written.get('members/pg1') as { readonly scheduled_restart: object }
  assert.deepEqual(told, { schedule: at, postmaster_start_time: postmasterStartTime })
})

test('the member key tells that the member that was named as its upstream has been given up, and only then', async () => {
  const { written, upkeep, state } = scene({ name: 'pg2' })
  const told = () => (written.get('members/pg2') as { readonly pgherd: object }).pgherd
  await upkeep.touchMember()
  assert.ok(!('follows_leader' in told()))
  state.memory = {
    ...state.memory,
    silentNamed: { sinceMs: 0, givenUpAtMs: 1_000 },
  } as unknown as typeof state.memory
  await upkeep.touchMember()
  assert.ok('follows_leader' in told())
})

test('what was done with slots is told once it is done', async () => {
  const { said, upkeep } = scene({ done: ['slot pg3 made'] })
  await upkeep.run()
  const at = said.findIndex(what => /^slots /.test(what))
  assert.equal(said[at + 1], 'slot pg3 made')
})

test('the leader of a standby cluster is told of as one when its settings change', async () => {
  const site = { host: '10.9.0.1' }
  const { said, upkeep, state } = scene({ server: { role: 'replica' }, dynamic: { standby_cluster: site } })
  await upkeep.run()
  state.config = config({ standby_cluster: site, ttl: 45 })
  await upkeep.run()
  assert.ok(said.includes('on_reload standby_leader'), said.join('; '))
})

test('paused: slots move on as ever, physical and logical ones, and none is dropped', async () => {
  const cdc = { type: 'logical', database: 'app', plugin: 'pgoutput' }
  const { said, upkeep } = scene({
    name: 'pg2',
    server: { slots: [physical('pg1', '0/100')] },
    seen: { status: '{"optime":1,"slots":{"pg1":900,"pg3":700}}' },
    dynamic: { pause: true, slots: { cdc } },
  })
  await upkeep.run()
  const at = said.findIndex(what => /^slots /.test(what))
  assert.deepEqual(said.slice(at, at + 2), ['slots pg1,pg3', 'kept pg1, logical cdc'])
})
