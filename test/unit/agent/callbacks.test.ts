// Which callback is called when, and what becomes of the one that still runs.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Callbacks } from '../../../src/agent/callbacks.ts'
import type { CallbackAction, ScriptConfig } from '../../../src/config/agent/types.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { ScriptEnd } from '../../../src/platform/script.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const ALL: readonly CallbackAction[] = ['on_start', 'on_stop', 'on_restart', 'on_reload', 'on_role_change']
const done: ScriptEnd = { kind: 'exited', code: 0 }

function scene(how: Partial<ScriptConfig> = {}, end: ScriptEnd | 'runs on' = done, actions = ALL) {
  const clock = new FakeClock()
  const calls: string[] = []
  const said: string[] = []
  const results: string[] = []
  const note = (text: string) => void said.push(text)
  const callbacks = new Callbacks({
    scope: 'pgsql',
    run: (line, args, signal) => {
      calls.push([line, ...args].join(' '))
      if (end !== 'runs on') return Promise.resolve(end)
      return new Promise(resolve => {
        signal.addEventListener('abort', () => resolve({ kind: 'killed', says: 'ended by SIGKILL' }))
      })
    },
    clock,
    log: { ...silentLogger, info: note, warning: note },
    scripts: () => ({
      callbacks: Object.fromEntries(actions.map(action => [action, 'script'])),
      prePromote: undefined,
      beforeStop: undefined,
    }),
    how: () => ({
      primaryRole: 'primary',
      callbackTimeoutMs: undefined,
      prePromoteTimeoutMs: undefined,
      beforeStopTimeoutMs: undefined,
      ...how,
    }),
    onEnded: (action, result) => void results.push(`${action} ${result}`),
  })
  return { clock, calls, said, results, callbacks }
}

const settle = () => new Promise(resolve => setImmediate(resolve))

type Step = (callbacks: Callbacks) => void
const runs =
  (role: string): Step =>
  callbacks =>
    callbacks.running(role)
const starts: Step = callbacks => callbacks.expect('on_start')

const stories: readonly (readonly [string, readonly Step[], readonly string[]])[] = [
  ['a server that runs when the agent comes', [runs('replica'), runs('replica')], ['on_start replica']],
  [
    'a promotion',
    [runs('replica'), runs('primary'), runs('primary')],
    ['on_start replica', 'on_role_change primary'],
  ],
  [
    'a demotion that was ordered',
    [runs('primary'), c => c.stopped('demoted'), starts, runs('replica')],
    ['on_start primary', 'on_stop demoted', 'on_role_change replica'],
  ],
  [
    'a primary that is ended and comes back as a standby',
    [runs('primary'), c => c.stopped(), starts, runs('replica')],
    ['on_start primary', 'on_stop primary', 'on_role_change replica'],
  ],
  [
    'a crash that is mended in place',
    [runs('primary'), starts, runs('primary')],
    ['on_start primary', 'on_start primary'],
  ],
  [
    'a crash of the leader whose place is taken',
    [runs('primary'), starts, runs('replica')],
    ['on_start primary', 'on_role_change replica'],
  ],
  [
    'a leader that does not start again',
    [runs('primary'), c => c.demoted(), c => c.demoted(), starts, runs('replica')],
    ['on_start primary', 'on_role_change demoted', 'on_role_change replica'],
  ],
  [
    'a restart by order',
    [runs('replica'), c => c.expect('on_restart'), runs('replica')],
    ['on_start replica', 'on_restart replica'],
  ],
  [
    'a fresh copy by order',
    [runs('replica'), c => c.stopped(), runs('replica')],
    ['on_start replica', 'on_stop replica', 'on_start replica'],
  ],
  [
    'the leader of a standby cluster',
    [starts, runs('replica'), runs('standby_leader')],
    ['on_start replica', 'on_role_change standby_leader'],
  ],
  [
    'one that leads it from its first moment on',
    [starts, runs('standby_leader'), runs('standby_leader'), runs('standby_leader')],
    ['on_start replica', 'on_role_change standby_leader'],
  ],
  [
    'a primary whose cluster is demoted',
    [runs('primary'), c => c.stopped('demoted'), starts, runs('standby_leader'), runs('standby_leader')],
    ['on_start primary', 'on_stop demoted', 'on_role_change replica', 'on_role_change standby_leader'],
  ],
  [
    'a standby leader that is restarted by order',
    [runs('replica'), runs('standby_leader'), c => c.expect('on_restart'), runs('standby_leader')],
    ['on_start replica', 'on_role_change standby_leader', 'on_restart standby_leader'],
  ],
  ['a reload', [runs('primary'), c => c.reloaded('primary')], ['on_start primary', 'on_reload primary']],
]
for (const [story, steps, expected] of stories) {
  test(`${story}: ${expected.join(', ')}`, async () => {
    const { calls, callbacks } = scene()
    for (const step of steps) {
      step(callbacks)
      await settle()
    }
    assert.deepEqual(
      calls,
      expected.map(call => `script ${call} pgsql`),
    )
  })
}

test('a primary is called master where that is asked for, and no other role is renamed', async () => {
  const { calls, callbacks } = scene({ primaryRole: 'master' })
  callbacks.running('primary')
  await settle()
  callbacks.stopped('demoted')
  await settle()
  assert.deepEqual(calls, ['script on_start master pgsql', 'script on_stop demoted pgsql'])
})

test('a newer callback ends the one that runs; of several that wait only the last is called', async () => {
  const { calls, results, callbacks } = scene({}, 'runs on')
  callbacks.running('replica')
  callbacks.running('primary')
  callbacks.stopped()
  await settle()
  assert.deepEqual(calls, ['script on_start replica pgsql', 'script on_stop primary pgsql'])
  assert.deepEqual(results, ['on_start replaced'])
})

test('the word that a standby leader is a replica first is heard to its end, for a second at most', async () => {
  const { clock, calls, callbacks } = scene({}, 'runs on')
  callbacks.running('standby_leader')
  callbacks.running('standby_leader')
  await settle()
  assert.deepEqual(calls, ['script on_start replica pgsql'])
  clock.jump(1_000)
  callbacks.running('standby_leader')
  await settle()
  assert.deepEqual(calls.slice(1), ['script on_role_change standby_leader pgsql'])
})

test('a stopping agent waits until its last callback has begun, and no longer', async () => {
  const { clock, calls, callbacks } = scene({}, 'runs on')
  callbacks.running('primary')
  callbacks.stopped()
  const waiting = callbacks.begun(500)
  await clock.advance(10)
  await waiting
  assert.equal(calls.at(-1), 'script on_stop primary pgsql')
})

test('on_reload ends nobody but another on_reload', async () => {
  const { calls, results, callbacks } = scene({}, 'runs on')
  callbacks.running('replica')
  callbacks.reloaded('replica')
  await settle()
  assert.deepEqual(results, [])
  callbacks.reloaded('replica')
  await settle()
  assert.deepEqual(results, ['on_reload replaced'])
  assert.equal(calls.length, 3)
})

test('a script that takes too long is ended and told of, if a time is set', async () => {
  const { clock, said, results, callbacks } = scene({ callbackTimeoutMs: 5_000 }, 'runs on')
  callbacks.running('replica')
  await clock.advance(4_999)
  assert.deepEqual(results, [])
  await clock.advance(1)
  assert.deepEqual(results, ['on_start timed-out'])
  assert.match(
    said.join(),
    /callback on_start replica was ended: it took longer than pgherd.callback_timeout/,
  )
})

for (const [end, says] of [
  [
    { kind: 'exited', code: 3 },
    'callback on_start replica failed (postgresql.callbacks.on_start): exit code 3',
  ],
  [
    { kind: 'not-run', says: '/pgsql/loadvip.sh is not there' },
    'callback on_start replica failed (postgresql.callbacks.on_start): /pgsql/loadvip.sh is not there',
  ],
] as const) {
  test(`one line tells of a script that fails: ${says}`, async () => {
    const { said, callbacks } = scene({}, end)
    callbacks.running('replica')
    await settle()
    assert.deepEqual(said, [says])
  })
}

test('what nobody configured is not called, and the story goes on', async () => {
  const { calls, callbacks } = scene({}, done, ['on_role_change'])
  callbacks.running('replica')
  callbacks.running('primary')
  await settle()
  assert.deepEqual(calls, ['script on_role_change primary pgsql'])
})
