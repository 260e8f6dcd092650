import assert from 'node:assert/strict'
import test from 'node:test'
import { Executor } from '../../../src/agent/act.ts'
import type { LoopContext } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { Deadline } from '../../../src/platform/deadline.ts'
import type { ServerStatus } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { peer, streamedBy } from './scene.ts'

const peers = new Map([
  ['pg1', 'http://pg1:8008/patroni'],
  ['pg3', 'http://pg3:8008/patroni'],
])

/** For each member that was asked how long its answer was waited for; pg1 led before. */
async function patience(config: object, server?: ServerStatus): Promise<Readonly<Record<string, number>>> {
  const state = new AgentState(dynamicConfig({ ...config }, true))
  state.memory = { ...state.memory, lastLeader: 'pg1' }
  if (server !== undefined) state.server = server
  const waited: Record<string, number> = {}
  const askPeers = async (asked: ReadonlyMap<string, string>, by: Deadline) => {
    for (const name of asked.keys()) waited[name] = by.remainingMs()
    return [...asked.keys()].map(name => peer(name))
  }
  const parts = { askPeers, clock: new FakeClock(), metrics: { acted: () => {} } }
  const executor = new Executor({ parts, state } as unknown as LoopContext)
  const { peers: answers } = await executor.run([{ kind: 'ask-peers', peers }], 'race')
  assert.deepEqual(answers?.map(({ name }) => name).sort(), ['pg1', 'pg3'], 'everybody is heard')
  return waited
}

test('in a synchronous mode a former leader that is silent holds the race up for half a second, not two', async () => {
  for (const mode of [true, 'quorum']) {
    assert.deepEqual(await patience({ synchronous_mode: mode }), { pg1: 500, pg3: 2_000 })
  }
})

test('in asynchronous replication the former leader is waited for like everybody: its word may save rows', async () => {
  assert.deepEqual(await patience({}), { pg1: 2_000, pg3: 2_000 })
})

test('a primary whose key vanished waits for nobody longer than its fence allows', async () => {
  assert.deepEqual(await patience({}, streamedBy('pg1', 'pg3')), { pg1: 500, pg3: 500 })
})
