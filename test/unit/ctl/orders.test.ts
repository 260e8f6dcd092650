import assert from 'node:assert/strict'
import test from 'node:test'
import type { RestAnswer } from '../../../src/ctl/context.ts'
import { setPause } from '../../../src/ctl/pause.ts'
import { remove } from '../../../src/ctl/remove.ts'
import { flushRestart, flushSwitchover, reinit, reload, restart } from '../../../src/ctl/restart.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const members = { scope: 'main', names: [], role: 'any', force: true } as const
const forced = {
  ...members,
  any: false,
  scheduled: undefined,
  olderThan: undefined,
  pendingOnly: false,
  timeout: undefined,
  wait: false,
} as const

test('restart asks when, for consent and for a version, in this order, and restarts one after the other', async () => {
  const { context, terminal, calls } = await ctlScene(['now', 'y', ''], { code: 200, text: 'x' })
  await restart(context, { ...forced, force: false })
  const questions = terminal.printed.split('\n').filter(line => /\]: /.test(line))
  assert.deepEqual(
    questions.map(line => line.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d/, 'TIME')),
    [
      'When should the restart take place (e.g. TIME)  [now]: now',
      'Are you sure you want to restart members pg1, pg2, pg3? [y/N]: y',
      'Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: ',
    ],
  )
  assert.deepEqual(
    calls.map(({ method, endpoint, url, body }) => [method, endpoint, new URL(url).hostname, body]),
    ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(host => ['POST', 'restart', host, {}]),
  )
  assert.match(terminal.printed, /Success: restart on member pg1\nSuccess: restart on member pg2\n/)
})

const answers: readonly (readonly [RestAnswer, string])[] = [
  [{ code: 202, text: 'Restart scheduled' }, 'Success: restart scheduled on member pg2'],
  [{ code: 409, text: 'x' }, 'Failed: another restart is already scheduled on member pg2'],
  [
    { code: 503, text: 'restart failed' },
    'Failed: restart for member pg2, status code=503, (restart failed)',
  ],
]
for (const [answer, line] of answers) {
  test(`an answer ${answer.code} to a restart reads: ${line}`, async () => {
    const { context, terminal, refusals } = await ctlScene([], answer)
    await restart(context, { ...forced, names: ['pg2'] })
    assert.ok(terminal.printed.endsWith(`${line}\n`), terminal.printed)
    assert.equal(refusals(), answer.code >= 400 ? 1 : 0)
  })
}

test('a scheduled restart by force takes an older one back first', async () => {
  const changes = {
    'members/pg2':
      '{"api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica","scheduled_restart":{"schedule":"x"}}',
  }
  const { context, calls } = await ctlScene([], { code: 202, text: '' }, changes)
  await restart(context, { ...forced, names: ['pg2'], scheduled: '2037-01-01T10:00+00:00', timeout: '60' })
  assert.deepEqual(
    calls.map(({ method, body }) => [method, body]),
    [
      ['DELETE', undefined],
      ['POST', { schedule: '2037-01-01T10:00:00+00:00', timeout: '60' }],
    ],
  )
})

test('only one member is restarted with --any', async () => {
  const { context, calls } = await ctlScene([], { code: 200, text: '' })
  await restart(context, { ...forced, any: true })
  assert.equal(calls.length, 1)
})

test('names that are no members of the role are refused, and a no ends the command', async () => {
  const { context, calls } = await ctlScene(['n'])
  await assert.rejects(reload(context, { ...members, names: ['pg1'], role: 'replica', wait: false }), {
    message: 'No replica among provided members',
  })
  await assert.rejects(reload(context, { ...members, names: ['pg1'], force: false, wait: false }), {
    message: 'Aborted reload',
  })
  assert.deepEqual(calls, [])
})

test('reinit asks which member, and when an action is under way whether to end it', async () => {
  const { context, terminal, calls } = await ctlScene(['pg2', 'y', 'y'], call =>
    (call.body as { force: boolean }).force
      ? { code: 200, text: 'reinitialize started' }
      : { code: 503, text: 'restart already in progress' },
  )
  await reinit(context, { scope: 'main', names: [], force: false, wait: false, fromLeader: true })
  assert.match(terminal.printed, /Which member do you want to reinitialize \[pg2, pg3\]\? \[\]: pg2\n/)
  assert.match(terminal.printed, /Do you want to cancel it and reinitialize anyway\? \[y\/N\]: y\n/)
  assert.ok(terminal.printed.endsWith('Success: reinitialize for member pg2\n'))
  assert.deepEqual(
    calls.map(({ body }) => body),
    [
      { force: false, from_leader: true },
      { force: true, from_leader: true },
    ],
  )
})

test('flush takes schedules back where there are some', async () => {
  const request = '{"leader":"pg1","scheduled_at":"2037-01-01T10:00:00+00:00"}'
  const { context, terminal, calls, dcs, clock } = await ctlScene([], new Error('no route'), {
    failover: request,
  })
  await flushRestart(context, { ...members, names: ['pg2'] })
  assert.ok(terminal.printed.endsWith('No scheduled restart for member pg2\n'))
  assert.deepEqual(calls, [])
  await flushSwitchover(context, 'main')
  assert.match(
    terminal.printed,
    /Could not find any accessible member of cluster main, falling back to DCS\n$/,
  )
  assert.equal((await dcs.read(Deadline.in(clock, 1_000))).request, undefined)
  await flushSwitchover(context, 'main')
  assert.ok(terminal.printed.endsWith('No pending scheduled switchover\n'))
})

test('pause goes through the first member that answers, the leader first', async () => {
  const { context, terminal, calls } = await ctlScene([], ({ url }) => {
    if (url.includes('10.0.0.1')) throw new Error('no route')
    return { code: 200, text: '{}' }
  })
  await setPause(context, undefined, true, false)
  assert.deepEqual(
    calls.map(({ method, endpoint, url, body }) => [method, endpoint, new URL(url).hostname, body]),
    [
      ['PATCH', 'config', '10.0.0.1', { pause: true }],
      ['PATCH', 'config', '10.0.0.2', { pause: true }],
    ],
  )
  assert.match(terminal.warned, /Member pg1 is not accessible: no route/)
  assert.equal(terminal.printed, 'Success: cluster management is paused\n')
  await assert.rejects(setPause(context, undefined, false, false), { message: 'Cluster is not paused' })
})

test('nobody to pause through is an error', async () => {
  const { context } = await ctlScene([], new Error('no route'))
  await assert.rejects(setPause(context, undefined, true, false), {
    message: 'Can not find accessible cluster member',
  })
})

const wrong: readonly (readonly [readonly string[], string])[] = [
  [['other'], 'Cluster names specified do not match'],
  [['main', 'yes'], 'You did not exactly type "Yes I am aware"'],
  [['main', 'Yes I am aware', 'pg2'], 'You did not specify the current leader of the cluster'],
]
for (const [typed, message] of wrong) {
  test(`remove ends with: ${message}`, async () => {
    const { context, dcs, clock } = await ctlScene(typed)
    await assert.rejects(remove(context, 'main', 'pretty'), { message })
    assert.ok((await dcs.read(Deadline.in(clock, 1_000))).leader)
  })
}

test('remove deletes every key of the cluster after three right answers', async () => {
  const { context, dcs, clock } = await ctlScene(['main', 'Yes I am aware', 'pg1'])
  await remove(context, 'main', 'pretty')
  const view = await dcs.read(Deadline.in(clock, 1_000))
  assert.deepEqual([view.leader, view.members.size, view.config], [undefined, 0, undefined])
})
