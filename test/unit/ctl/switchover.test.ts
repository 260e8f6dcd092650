import assert from 'node:assert/strict'
import test from 'node:test'
import type { CtlContext } from '../../../src/ctl/context.ts'
import { type SwitchoverOptions, switchover } from '../../../src/ctl/switchover.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { ctlScene } from '../../support/ctl-scene.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const asked: SwitchoverOptions = {
  action: 'switchover',
  leader: undefined,
  candidate: undefined,
  scheduled: undefined,
  force: false,
}
const forced: SwitchoverOptions = { ...asked, force: true }

test('the dialogue asks for primary, candidate, time and consent, in this order', async () => {
  const { context, terminal, calls } = await ctlScene(['', 'pg2', '', 'y'])
  await switchover(context, undefined, asked)
  const questions = terminal.printed.split('\n').filter(line => /\]: /.test(line))
  assert.deepEqual(
    questions.map(line => line.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d/, 'TIME')),
    [
      'Primary [pg1]: ',
      "Candidate ['pg2', 'pg3'] []: pg2",
      'When should the switchover take place (e.g. TIME )  [now]: ',
      'Are you sure you want to switchover cluster main, demoting current leader pg1? [y/N]: y',
    ],
  )
  assert.deepEqual(calls, [
    {
      method: 'POST',
      url: 'http://10.0.0.1:8008/patroni',
      endpoint: 'switchover',
      body: { leader: 'pg1', candidate: 'pg2' },
    },
  ])
  assert.ok(terminal.printed.startsWith('Current cluster topology\n+ Cluster: main '))
  assert.match(
    terminal.printed,
    /\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{5} Successfully switched over to "pg2"\n\+ Cluster: main/,
  )
})

test('--force asks nothing and takes the leader of now', async () => {
  const { context, calls } = await ctlScene([])
  await switchover(context, 'main', forced)
  assert.deepEqual(calls[0]?.body, { leader: 'pg1' })
})

test('a failover needs no leader and names the candidate', async () => {
  const { context, terminal, calls } = await ctlScene(['pg3', 'y'], { code: 200, text: 'ok' })
  await switchover(context, undefined, { ...asked, action: 'failover' })
  assert.deepEqual(calls, [
    {
      method: 'POST',
      url: 'http://10.0.0.1:8008/patroni',
      endpoint: 'failover',
      body: { candidate: 'pg3' },
    },
  ])
  assert.match(
    terminal.printed,
    /Are you sure you want to failover cluster main, demoting current leader pg1\?/,
  )
})

test('a leader that is not registered is not asked, but the candidate', async () => {
  const { context, calls } = await ctlScene([], { code: 200, text: 'ok' }, { leader: 'gone' })
  await switchover(context, undefined, { ...forced, action: 'failover', candidate: 'pg3' })
  assert.equal(calls[0]?.url, 'http://10.0.0.3:8008/patroni')
})

test('a failover to an asynchronous node is asked twice', async () => {
  const sync = { sync: '{"leader":"pg1","sync_standby":"pg2"}' }
  const { context, terminal } = await ctlScene(['n'], undefined, sync)
  const run = switchover(context, undefined, { ...asked, action: 'failover', candidate: 'pg3' })
  await assert.rejects(run, { message: 'Aborting failover' })
  assert.match(terminal.printed, /to the asynchronous node pg3\? \[y\/N\]: n/)
})

const refused: readonly (readonly [
  string,
  Partial<SwitchoverOptions>,
  Readonly<Record<string, string>>,
  string,
])[] = [
  ['the wrong leader', { leader: 'pg2' }, {}, 'Member pg2 is not the leader of cluster main'],
  ['the leader as its own candidate', { candidate: 'pg1' }, {}, 'Switchover target and source are the same.'],
  [
    'an unknown candidate',
    { candidate: 'pg9' },
    {},
    'Member pg9 does not exist in cluster main or is tagged as nofailover',
  ],
  [
    'a candidate that must not lead',
    { candidate: 'pg2' },
    { 'members/pg2': '{"tags":{"nofailover":true}}' },
    'Member pg2 does not exist in cluster main or is tagged as nofailover',
  ],
  [
    'nobody who may lead',
    {},
    { 'members/pg2': '{"tags":{"nofailover":true}}', 'members/pg3': '{"tags":{"failover_priority":0}}' },
    'No candidates found to switchover to',
  ],
  [
    'a schedule while paused',
    { scheduled: '2030-01-01T10:00Z' },
    { config: '{"pause":true}' },
    "Can't schedule switchover in the paused state",
  ],
  [
    'a time that is none',
    { scheduled: 'tomorrow' },
    {},
    'Unable to parse scheduled timestamp (tomorrow). It should be in an unambiguous format (e.g. ISO 8601)',
  ],
  [
    'a failover without candidate',
    { action: 'failover' },
    {},
    'Failover could be performed only to a specific candidate',
  ],
]
for (const [what, options, keys, message] of refused) {
  test(`${what} is refused before anything is sent`, async () => {
    const { context, calls } = await ctlScene([], undefined, keys)
    await assert.rejects(switchover(context, undefined, { ...forced, ...options }), {
      name: 'UserError',
      message,
      exitCode: 1,
    })
    assert.deepEqual(calls, [])
  })
}

test('a cluster without a leader cannot switch over', async () => {
  const { context } = await ctlScene([])
  await assert.rejects(switchover({ ...context, openDcs: () => emptyDcs() }, undefined, forced), {
    message: 'This cluster has no leader',
  })
})

test('no to the last question sends nothing', async () => {
  const { context, calls } = await ctlScene(['', '', '', 'n'])
  await assert.rejects(switchover(context, undefined, asked), { message: 'Aborting switchover' })
  assert.deepEqual(calls, [])
})

test('the end of the input in a question is an abort', async () => {
  const { context, calls } = await ctlScene([''])
  await assert.rejects(switchover(context, undefined, asked), { message: 'Aborted!', exitCode: 1 })
  assert.deepEqual(calls, [])
})

test('a refusal of the server is printed with its code, and is no error', async () => {
  const { context, terminal } = await ctlScene([], {
    code: 412,
    text: 'switchover is not possible: no good candidates have been found',
  })
  await switchover(context, undefined, forced)
  assert.match(
    terminal.printed,
    /\nSwitchover failed, details: 412, switchover is not possible: no good candidates have been found\n$/,
  )
})

test('a server that does not answer is gone around: the request is written to etcd', async () => {
  const { context, terminal, dcs, clock } = await ctlScene(
    [],
    new Error('connect ECONNREFUSED 10.0.0.1:8008'),
  )
  await switchover(context, undefined, { ...forced, candidate: 'pg2', scheduled: '2030-01-01T10:00+02:00' })
  const view = await dcs.read(Deadline.in(clock, 1_000))
  assert.deepEqual(view.request?.value, {
    leader: 'pg1',
    candidate: 'pg2',
    scheduledAt: '2030-01-01T10:00:00+02:00',
  })
  assert.match(terminal.printed, /Could not switchover using Patroni api, falling back to DCS\n/)
  assert.match(terminal.warned, /ECONNREFUSED/)
})

test('a request that came in between is not overwritten', async () => {
  const made = await ctlScene([], new Error('socket hang up'))
  const { context, terminal, dcs, clock } = made
  const other = { kind: 'put', key: 'failover', value: '{"leader":"pg1","member":"pg3"}' } as const
  const callMember: CtlContext['callMember'] = async () => {
    await dcs.write([], [other], Deadline.in(clock, 1_000))
    throw new Error('socket hang up')
  }
  await switchover({ ...context, callMember }, undefined, forced)
  assert.match(terminal.printed, /Switchover result unknown\n/)
  assert.equal((await dcs.read(Deadline.in(clock, 1_000))).request?.value.candidate, 'pg3')
})

function emptyDcs(): MemoryDcs {
  return new MemoryDcs(new MemoryStore({ clock: new FakeClock() }))
}
