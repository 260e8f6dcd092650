// A rewind that a pause overtakes: it stopped a server that ran, and nobody else will start it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Work, type WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { RewindResult } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { down, running } from './scene.ts'

const leader = { member: 'pg1', address: { host: '10.0.0.1', port: 5432 } }

async function afterRewind(wasRunning: boolean, ok: boolean): Promise<boolean> {
  const state = new AgentState(dynamicConfig({}, true))
  state.server = wasRunning ? running() : down()
  state.divergence = { kind: 'diverged', at: 900n, localEnd: 1000n }
  const result: RewindResult = { ok, discardedBytes: 100n, says: 'it says' }
  const context = {
    parts: {
      clock: new FakeClock(),
      log: silentLogger,
      local: { name: 'pg2' },
      events: { record: () => {} },
      postgres: { rewind: async () => result },
    },
    state,
    callbacks: { stopped: () => {} },
  } as unknown as WorkContext
  const plan = new Work(context).plan({ kind: 'rewind', leader })
  return (await plan.work(new AbortController().signal))(firstMemory).isOursToStart
}

test('a server that was rewound is ours to start, also when the cluster was paused meanwhile', async () => {
  assert.equal(await afterRewind(true, true), true)
  assert.equal(await afterRewind(false, true), true)
})

test('after a rewind that failed the server is left to the operator of the pause', async () => {
  assert.equal(await afterRewind(true, false), false)
})
