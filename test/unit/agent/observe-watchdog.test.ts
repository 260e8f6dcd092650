// When a look at the server ends the watch: no process is left of a primary that is gone, and the key is not ours.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Observer } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const SCAN_MS = 50

/** A server that is gone under an armed watchdog; looking for its processes takes a while and finds `left`. */
function scene(left: number) {
  const clock = new FakeClock()
  const happened: string[] = []
  const keeper: { hold: object | undefined } = { hold: undefined }
  const state = new AgentState(dynamicConfig({}, true))
  state.systemId = '7'
  const context = {
    parts: {
      clock,
      log: silentLogger,
      events: { record: () => {} },
      local: { name: 'pg1' },
      postgres: {
        status: async () => ({ process: 'stopped', dataDirectory: 'initialized', isAnswering: false }),
        killFamily: async () => {
          await clock.sleep(SCAN_MS)
          happened.push('looked for processes')
          return left
        },
      },
    },
    state,
    keeper,
    fence: { isActing: false, arm: () => {}, disarm: () => {} },
    tasks: { running: undefined, endedCount: 0 },
    failsafe: {},
    watchdog: { state: { isArmed: true }, standDown: async () => void happened.push('disarmed') },
    callbacks: {},
  }
  const observer = new Observer(context as never, () => {})
  const look = async () => {
    const looking = observer.lookAtServer().then(() => void happened.push('look is over'))
    await clock.advance(SCAN_MS)
    await looking
  }
  return { happened, keeper, clock, observer, look }
}

test('the look is over when the processes have been looked for: what is started next is not killed as a leftover', async () => {
  const { happened, look } = scene(0)
  await look()
  assert.deepEqual(happened, ['looked for processes', 'disarmed', 'look is over'])
})

test('a process that was left keeps the watchdog armed', async () => {
  const { happened, look } = scene(1)
  await look()
  assert.deepEqual(happened, ['looked for processes', 'look is over'])
})

test('a key that was taken meanwhile keeps the watchdog armed', async () => {
  const { happened, keeper, clock, observer } = scene(0)
  const looking = observer.lookAtServer()
  await clock.advance(SCAN_MS / 2)
  keeper.hold = {}
  await clock.advance(SCAN_MS)
  await looking
  assert.deepEqual(happened, ['looked for processes'])
})
