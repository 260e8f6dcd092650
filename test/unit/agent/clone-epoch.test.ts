// What a copy teaches about histories: it is the history of whoever led when it began.

import assert from 'node:assert/strict'
import test from 'node:test'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Work, type WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { view } from './scene.ts'

test('a copy during which another member became the leader is compared with that one', async () => {
  const state = new AgentState(dynamicConfig({}, true))
  state.view = view({ epoch: 100n })
  const clone = async () => {
    state.view = view({ leader: 'pg3', epoch: 200n })
  }
  const parts = { clock: new FakeClock(), postgres: { clone } }
  const context = { parts, state } as unknown as WorkContext
  const from = { member: 'pg1', address: { host: '10.0.0.1', port: 5432 } }
  const plan = new Work(context).plan({ kind: 'clone', from })
  const update = await plan.work(new AbortController().signal)
  assert.equal(update(firstMemory).cleanAgainst, 100n)
})
