// The scripts that something waits for: none may hold up what it stands before for longer than it may.

import assert from 'node:assert/strict'
import test from 'node:test'
import { beforeStop, prePromote } from '../../../src/agent/own-scripts.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { ScriptEnd } from '../../../src/platform/script.ts'
import { FakeClock } from '../../support/fake-clock.ts'

interface Setting {
  readonly end?: ScriptEnd
  readonly prePromoteTimeoutMs?: number
  readonly beforeStopTimeoutMs?: number
  readonly isConfigured?: boolean
  readonly isDown?: boolean
}

function scene({ end, isConfigured = true, isDown = false, ...limits }: Setting = {}) {
  const clock = new FakeClock()
  const said: string[] = []
  const lease = { leftMs: 5_000 }
  const fence = new AbortController()
  let runs = 0
  const line = isConfigured ? 'script' : undefined
  const context = {
    parts: {
      clock,
      log: { ...silentLogger, warning: (text: string) => void said.push(text) },
      settingsFor: () => ({ scripts: { callbacks: {}, prePromote: line, beforeStop: line } }),
      local: { scripts: limits },
      runScript: (_line: string, _args: readonly string[], signal: AbortSignal) => {
        runs += 1
        if (end !== undefined) return Promise.resolve(end)
        return new Promise(resolve => {
          signal.addEventListener('abort', () => resolve({ kind: 'killed', says: 'ended by SIGKILL' }))
        })
      },
    },
    state: { config: {}, server: { process: isDown ? 'stopped' : 'running' } },
    keeper: { leftMs: () => lease.leftMs },
    fence: { isActing: false, signal: fence.signal },
  } as unknown as WorkContext
  return { clock, said, lease, fence, context, runs: () => runs }
}

const never = new AbortController().signal

test('a promotion goes on when pre_promote ends with 0, or where there is none', async () => {
  assert.equal(await prePromote(scene({ end: { kind: 'exited', code: 0 } }).context, never), true)
  const without = scene({ isConfigured: false })
  assert.equal(await prePromote(without.context, never), true)
  assert.equal(without.runs(), 0)
})

for (const end of [
  { kind: 'exited', code: 1 },
  { kind: 'not-run', says: '/fence.sh is not there' },
] as const) {
  test(`a promotion does not go on when pre_promote ${end.kind === 'exited' ? 'says no' : 'cannot be run'}`, async () => {
    const { context, said } = scene({ end })
    assert.equal(await prePromote(context, never), false)
    const why = end.kind === 'exited' ? 'exit code 1' : end.says
    assert.deepEqual(said, [`pre_promote failed: ${why}: not promoting`])
  })
}

test('pre_promote is ended when the lease is lost', async () => {
  const { clock, context, lease, said } = scene()
  const running = prePromote(context, never)
  await clock.advance(60_000)
  lease.leftMs = 0
  await clock.advance(100)
  assert.equal(await running, false)
  assert.deepEqual(said, ['pre_promote failed: the lease was lost: not promoting'])
})

test('pre_promote is ended at its own time, if one is set', async () => {
  const { clock, context, said } = scene({ prePromoteTimeoutMs: 2_000 })
  const running = prePromote(context, never)
  await clock.advance(2_100)
  assert.equal(await running, false)
  assert.match(said.join(), /it took too long/)
})

test('before_stop holds the stop up until its time, and whatever it says the stop goes on', async () => {
  const { clock, context, said } = scene({ beforeStopTimeoutMs: 3_000 })
  const running = beforeStop(context, 3_600_000)
  await clock.advance(3_100)
  await running
  assert.deepEqual(said, ['before_stop failed: it took too long: the server is stopped all the same'])
})

test('before_stop has no more time than the stop, and the fence ends it at once', async () => {
  const first = scene()
  const running = beforeStop(first.context, 1_000)
  await first.clock.advance(1_100)
  await running
  const second = scene()
  const fenced = beforeStop(second.context, 3_600_000)
  second.fence.abort(new Error('the lease is running out'))
  await fenced
  assert.match(second.said.join(), /the lease is running out/)
})

test('before_stop is not run for a server that is down', async () => {
  const { context, runs } = scene({ isDown: true })
  await beforeStop(context, 1_000)
  assert.equal(runs(), 0)
})
