// Orders that meet each other, and the server's own restarts.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Operator } from '../../../src/agent/operator.ts'
import { firstMemory, type Memory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Tasks } from '../../../src/agent/tasks.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { unconditionalRestart } from '../../../src/cluster/restart.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside, withoutScripts } from './aside.ts'
import { running, view } from './scene.ts'

const AT_MS = 30_000
const STOP_MS = 5_000

/** pg2, a standby whose server takes 5 s to stop. */
function scene() {
  const said: string[] = []
  const clock = new FakeClock()
  const state = new AgentState(dynamicConfig({}, true))
  const copy = { reached: Promise.resolve() }
  state.view = view()
  state.server = running({ postmasterStartTime: 'first' })
  const parts = {
    clock,
    log: { ...silentLogger, info: (text: string) => said.push(text) },
    ...withoutScripts,
    local: { name: 'pg2' },
    askPeers: async () => [{ isReachable: true, isPrimary: true }],
    postgres: {
      stop: async ({ mode }: { readonly mode: string }) => {
        said.push(`stop ${mode}`)
        await clock.sleep(STOP_MS)
        return { stopped: true, shutdownCheckpointLsn: undefined }
      },
      start: async () => said.push('start') > 0,
      discard: async () => void said.push('discard'),
      clone: () => copy.reached.then(() => said.push('clone')),
    },
    events: { record: () => {} },
  }
  const context = {
    parts,
    state,
    keeper: { leftMs: () => 0, hold: undefined },
    ...aside(),
    fence: { disarm: () => {} },
  } as unknown as WorkContext
  const tasks = new Tasks(clock, silentLogger, () => {})
  const operator = new Operator(
    context,
    tasks,
    () => {},
    async () => {},
  )
  const atWallMs = clock.wallMs() + AT_MS
  const schedule = () => operator.schedule(unconditionalRestart, '2026-01-01T00:00:30+00:00', atWallMs)
  const remembered = (before: Partial<Memory> = {}) =>
    tasks.takeUpdates().reduce((memory, update) => update(memory), { ...firstMemory, ...before })
  return { said, clock, state, operator, schedule, copy, remembered }
}

test('a restart that is scheduled happens at its time and once', async () => {
  const { said, clock, schedule } = scene()
  assert.equal(schedule(), true)
  assert.equal(schedule(), false, 'one at a time')
  await clock.advance(AT_MS - 1)
  assert.deepEqual(said, [])
  await clock.advance(2 * AT_MS)
  assert.deepEqual(said, ['stop fast', 'start', 'scheduled restart: restarted successfully'])
})

test('a restart that is scheduled is dropped when the server was restarted meanwhile', async () => {
  const { said, clock, state, schedule } = scene()
  schedule()
  state.server = running({ postmasterStartTime: 'second' })
  await clock.advance(2 * AT_MS)
  assert.deepEqual(said, ['Cancelling scheduled restart: postgres restart has already happened at second'])
  assert.equal(state.scheduledRestart, undefined)
})

test('a restart by hand takes the scheduled one with it', async () => {
  const { said, clock, state, operator, schedule } = scene()
  schedule()
  const restarting = operator.restart(unconditionalRestart)
  await clock.advance(STOP_MS)
  assert.deepEqual(await restarting, { isDone: true, says: 'restarted successfully' })
  assert.equal(state.scheduledRestart, undefined)
  await clock.advance(2 * AT_MS)
  assert.deepEqual(said, ['stop fast', 'start'])
})

test('a fresh copy is refused while the server is being restarted', async () => {
  const { said, clock, operator } = scene()
  const restarting = operator.restart(unconditionalRestart)
  await clock.advance(STOP_MS / 2)
  assert.equal(await operator.reinitialize(false), 'restart already in progress')
  await clock.advance(STOP_MS)
  await restarting
  assert.deepEqual(said, ['stop fast', 'start'])
})

test('a server that was copied afresh is ours to start, in a pause too', async () => {
  const { said, clock, operator, remembered } = scene()
  assert.equal(await operator.reinitialize(false), undefined)
  await clock.advance(STOP_MS)
  assert.deepEqual(said, ['stop immediate', 'discard', 'clone'])
  const { isOursToStart, isToBeCopied } = remembered({ isToBeCopied: true })
  assert.deepEqual([isOursToStart, isToBeCopied], [true, false])
})

test('a fresh copy that failed is to be made again, in a pause too; half of it is not started', async () => {
  const { said, clock, operator, copy, remembered } = scene()
  copy.reached = Promise.reject(new Error('the leader is gone'))
  copy.reached.catch(() => {})
  assert.equal(await operator.reinitialize(false), undefined)
  await clock.advance(STOP_MS)
  assert.deepEqual(said, ['stop immediate', 'discard'])
  const { isOursToStart, isToBeCopied } = remembered()
  assert.deepEqual([isOursToStart, isToBeCopied], [false, true])
})
