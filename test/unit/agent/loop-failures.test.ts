// What a turn does when an action fails: it ends, its upkeep counts as a sign of life, and the next one is due soon.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Loop } from '../../../src/agent/loop.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { ClusterView } from '../../../src/cluster/view.ts'
import type { Condition, Outcome, Write } from '../../../src/dcs/dcs.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { config, OUR_LEASE, SYSTEM_ID, streamedBy, view } from './scene.ts'

interface Troubles {
  /** How a write of the sync key ends, one after the other; the last one for all that follow. */
  readonly writes?: readonly Outcome[]
  readonly takesNames?: boolean
}

/** The leader of a synchronous cluster from which pg2 streams. */
function leading({ writes = ['won'], takesNames = true }: Troubles) {
  const clock = new FakeClock()
  const raw = { synchronous_mode: true }
  const spec = { leader: 'pg1', leaderLease: OUR_LEASE, config: JSON.stringify(raw) }
  const stored: { view: ClusterView } = { view: view(spec) }
  const happened: string[] = []
  const outcomes = [...writes]
  const state = new AgentState(config(raw))
  state.systemId = SYSTEM_ID
  const { leader } = stored.view
  assert.ok(leader)
  const context = {
    parts: {
      clock,
      log: silentLogger,
      events: { record: () => {} },
      metrics: { acted: () => {}, turn: () => {} },
      local: {
        name: 'pg1',
        scope: 'demo',
        tags: {},
        postgres: { connectAddress: {} },
        bootstrap: { dcs: {} },
      },
      settingsFor: () => ({ parameters: {} }),
      readDynamic: config,
      dcs: {
        read: async () => {
          happened.push('read')
          return stored.view
        },
        write: async (_: readonly Condition[], all: readonly Write[]) => {
          const [write] = all
          if (write?.kind !== 'put' || write.key !== 'sync') return { outcome: 'won', revision: 1n }
          happened.push('write sync')
          const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0]
          if (outcome === 'won') stored.view = view({ ...spec, sync: write.value })
          return { outcome, revision: 1n }
        },
      },
      postgres: {
        status: async () => streamedBy('pg2'),
        isFollowing: () => false,
        setSynchronousStandbys: async () => {
          happened.push('set names')
          return takesNames
        },
      },
    },
    state,
    keeper: {
      hold: { ...leader, leaseId: OUR_LEASE },
      leaseId: OUR_LEASE,
      ask: () => ({}),
      verify: () => {},
      setTimings: () => {},
      leftMs: () => 20_000,
      noteTurn: () => void happened.push('sign of life'),
      ensureLease: async () => {
        happened.push('upkeep')
        throw new Error('no lease today')
      },
    },
    fence: { isActing: false, arm: () => {}, disarm: () => {} },
    tasks: { running: undefined, endedCount: 0, takeUpdates: () => [] },
    failsafe: { forget: () => {}, isLeading: false },
    watchdog: { look: async () => {}, state: { isArmed: false, mode: 'off', isHealthy: true } },
    callbacks: { running: () => {}, reloaded: () => {} },
  }
  return { loop: new Loop(context as never), happened, clock }
}

const untilUpkeep = (happened: readonly string[]) => happened.slice(0, happened.indexOf('upkeep') + 1)

test('a server that does not take the standby names is told once a turn, and the turn ends with a sign of life', async () => {
  const { loop, happened } = leading({ takesNames: false })
  await loop.turn()
  const before = ['sign of life', 'read', 'write sync', 'read']
  assert.deepEqual(untilUpkeep(happened), [...before, 'set names', 'sign of life', 'upkeep'])
})

for (const outcome of ['unknown', 'unreachable'] as const) {
  test(`a sync key whose write ends as ${outcome} is written once a turn`, async () => {
    const { loop, happened } = leading({ writes: [outcome] })
    await loop.turn()
    assert.deepEqual(untilUpkeep(happened), ['sign of life', 'read', 'write sync', 'sign of life', 'upkeep'])
  })
}

test('a sync key that somebody else has changed is read, and written again in the same turn', async () => {
  const { loop, happened } = leading({ writes: ['lost', 'unknown'] })
  await loop.turn()
  const steps = untilUpkeep(happened).filter(what => what !== 'sign of life')
  assert.deepEqual(steps, ['read', 'write sync', 'read', 'write sync', 'upkeep'])
})

test('what failed is tried again after a second, not after loop_wait', async () => {
  const { loop, happened, clock } = leading({ takesNames: false })
  // The first look sees the standby come, which wakes the loop.
  await loop.turn()
  const end = new AbortController()
  const running = loop.run(end.signal)
  const tries = () => happened.filter(what => what === 'set names').length
  await clock.advance(900)
  assert.equal(tries(), 2)
  await clock.advance(200)
  assert.equal(tries(), 3)
  end.abort(new Error('the test is over'))
  await running
})
