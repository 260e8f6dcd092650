// Which role the scripts are told after a look at the server.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Observer } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { JsonObject } from '../../../src/cluster/json.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { running } from './scene.ts'

const standbyCluster = { standby_cluster: { host: '10.9.0.1' } }

const rows: readonly (readonly [string, JsonObject, 'primary' | 'replica', boolean, readonly string[]])[] = [
  ['a standby', {}, 'replica', false, ['replica']],
  ['a leader', {}, 'primary', true, ['primary']],
  ['the leader of a standby cluster', standbyCluster, 'replica', true, ['standby_leader']],
  [
    'a standby that has the key and is about to be promoted, after a standby cluster too',
    {},
    'replica',
    true,
    [],
  ],
]

for (const [who, raw, role, hasKey, told] of rows) {
  test(`scripts are told of ${who}: ${told.join() || 'nothing yet'}`, async () => {
    const calls: string[] = []
    const state = new AgentState(dynamicConfig(raw, true))
    const context = {
      parts: {
        clock: new FakeClock(),
        log: silentLogger,
        events: { record: () => {} },
        local: { name: 'pg1' },
        postgres: { status: async () => running({ role }) },
      },
      state,
      keeper: { hold: hasKey ? {} : undefined },
      fence: { isActing: false, arm: () => {}, disarm: () => {} },
      tasks: { running: undefined, endedCount: 0 },
      failsafe: {},
      watchdog: { state: { isArmed: false }, standDown: async () => {} },
      callbacks: { running: (name: string) => void calls.push(name) },
    }
    await new Observer(context as never, () => {}).lookAtServer()
    assert.deepEqual(calls, told)
  })
}
