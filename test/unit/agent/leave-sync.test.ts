import assert from 'node:assert/strict'
import test from 'node:test'
import { leaveSync } from '../../../src/agent/leave-sync.ts'
import { Operator } from '../../../src/agent/operator.ts'
import type { AgentParts } from '../../../src/agent/parts.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Tasks } from '../../../src/agent/tasks.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { unconditionalRestart } from '../../../src/cluster/restart.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside, withoutScripts } from './aside.ts'
import { view } from './scene.ts'

const LOOP_WAIT_MS = 10_000
const named = view({ sync: '{"leader":"pg1","quorum":0,"sync_standby":"pg2"}' })
const nobody = view({ sync: '{"leader":"pg1","quorum":0,"sync_standby":null}' })

/** pg2, one of three; the leader drops it `droppedAtMs` after the start. */
function scene(droppedAtMs: number, first = named) {
  const said: string[] = []
  const clock = new FakeClock()
  const state = new AgentState(dynamicConfig({ synchronous_mode: true }, true))
  state.view = first
  const note = (what: string) => said.push(`${clock.monotonicMs() / 1000} s: ${what}`)
  const parts = {
    clock,
    log: { ...silentLogger, warning: (text: string) => note(text.split(':')[0] ?? '') },
    ...withoutScripts,
    local: { name: 'pg2' },
    dcs: { read: async () => (clock.monotonicMs() >= droppedAtMs ? nobody : first) },
    postgres: {
      stop: async () => {
        note('stop')
        return { stopped: true, shutdownCheckpointLsn: undefined }
      },
      start: async () => {
        note('start')
        return true
      },
    },
  } as unknown as AgentParts
  const upkeep = {
    touchMember: async () => {
      note(`member key, ${state.isLeavingSync ? 'nosync' : 'as ever'}`)
    },
  }
  const leave = (signal?: AbortSignal) => leaveSync(parts, state, upkeep, signal)
  const keeper = { leftMs: () => 0, hold: undefined }
  const tasks = new Tasks(clock, silentLogger, () => {})
  const operator = new Operator(
    { parts, state, keeper, ...aside() } as unknown as WorkContext,
    tasks,
    () => {},
    leave,
  )
  return { said, clock, state, leave, operator, tasks }
}

test('a synchronous standby that is restarted by order leaves the set first, and says nosync no more afterwards', async () => {
  const { operator, clock, said, state } = scene(4_000)
  const restarting = operator.restart(unconditionalRestart)
  await clock.advance(LOOP_WAIT_MS)
  assert.deepEqual(await restarting, { isDone: true, says: 'restarted successfully' })
  assert.deepEqual(said, ['0 s: member key, nosync', '4 s: stop', '4 s: start'])
  assert.equal(state.isLeavingSync, false)
})

test('a leader that does not drop the standby holds its restart up for two turns and no longer', async () => {
  const { operator, clock, said } = scene(Number.POSITIVE_INFINITY)
  const restarting = operator.restart(unconditionalRestart)
  await clock.advance(2 * LOOP_WAIT_MS + 1_000)
  await restarting
  assert.deepEqual(said, [
    '0 s: member key, nosync',
    '20 s: still named as a synchronous standby',
    '20 s: stop',
    '20 s: start',
  ])
})

test('a member that the sync key does not name restarts at once', async () => {
  const { operator, said } = scene(0, nobody)
  await operator.restart(unconditionalRestart)
  assert.deepEqual(said, ['0 s: stop', '0 s: start'])
})

test('a restart that is called off while it waits to leave stops nothing', async () => {
  const { operator, clock, said, state, tasks } = scene(Number.POSITIVE_INFINITY)
  const restarting = operator.restart(unconditionalRestart)
  await clock.advance(1_000)
  await Promise.all([tasks.cancel('the agent is stopping'), clock.advance(1_000)])
  assert.deepEqual(await restarting, { isDone: false, says: 'restart failed' })
  assert.deepEqual(said.slice(0, 1), ['0 s: member key, nosync'])
  assert.ok(!said.some(line => line.endsWith('stop')))
  assert.equal(state.isLeavingSync, false)
})
