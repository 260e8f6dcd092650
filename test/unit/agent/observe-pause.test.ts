// What an agent looks at again when a pause ends.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Observer } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { ProcessState } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { config, down, SYSTEM_ID, view } from './scene.ts'

const OTHER_ID = '7300000000000000009'

async function idAfter(before: object, after: object, process: ProcessState): Promise<string | undefined> {
  const state = new AgentState(config(before))
  state.server = down({ process })
  state.systemId = SYSTEM_ID
  const context = {
    parts: {
      clock: new FakeClock(),
      log: silentLogger,
      local: { name: 'pg1' },
      dcs: { read: async () => view({ config: JSON.stringify(after) }) },
      readDynamic: config,
      postgres: { controlData: async () => ({ systemId: OTHER_ID }) },
    },
    state,
    keeper: { ask: () => ({}), verify: () => {}, setTimings: () => {} },
    tasks: { running: undefined },
    failsafe: { forget: () => {} },
  }
  await new Observer(context as never, () => {}).readView()
  return state.systemId
}

const rows: readonly (readonly [string, object, object, ProcessState, string])[] = [
  ['the pause ends and the server is down: read anew', { pause: true }, {}, 'stopped', OTHER_ID],
  ['the pause ends and the server runs: it tells by itself', { pause: true }, {}, 'running', SYSTEM_ID],
  ['the pause goes on', { pause: true }, { pause: true }, 'stopped', SYSTEM_ID],
  ['there was no pause', {}, {}, 'stopped', SYSTEM_ID],
]
for (const [when, before, after, process, id] of rows) {
  test(`whose data a server has, ${when}`, async () =>
    assert.equal(await idAfter(before, after, process), id))
}
