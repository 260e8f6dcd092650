// --wait of what moves or restarts servers: how long it goes on, and what it says when its time is over.

import assert from 'node:assert/strict'
import test from 'node:test'
import { restart } from '../../../src/ctl/restart.ts'
import { switchover } from '../../../src/ctl/switchover.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { type CtlScene, ctlScene, ended } from '../../support/ctl-scene.ts'

const key = (role: string, timeline: number, more: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({ api_url: 'http://10.0.0.2:8008/patroni', state: 'running', role, timeline, ...more })

async function put({ dcs, clock }: CtlScene, keys: Readonly<Record<string, string>>): Promise<void> {
  const puts = Object.entries(keys).map(([name, value]) => ({ kind: 'put', key: name, value }) as const)
  await dcs.write([], puts, Deadline.in(clock, 1_000))
}

const order = { leader: undefined, candidate: 'pg2', scheduled: undefined, force: true, wait: true }

for (const action of ['switchover', 'failover'] as const) {
  test(`${action} --wait ends when there is another leader and every member runs on its timeline`, async () => {
    const scene = await ctlScene([])
    scene.terminal.isScreen = true
    const running = switchover(scene.context, undefined, { ...order, action })
    await scene.clock.advance(1_000)
    assert.match(scene.terminal.warned, /waiting for a new leader \(0 s\)/)
    await put(scene, { leader: 'pg2', 'members/pg2': key('primary', 4), 'members/pg1': key('replica', 3) })
    await scene.clock.advance(1_000)
    assert.match(scene.terminal.warned, /waiting for pg1 \(running\), pg3 \(starting\)/)
    await put(scene, { 'members/pg1': key('replica', 4), 'members/pg3': key('replica', 4) })
    await ended(scene, running)
    assert.match(scene.terminal.printed, /Successfully switched over to "pg2"\n/)
    assert.doesNotMatch(scene.terminal.printed, /Not every member/)
    assert.equal(scene.refusals(), 0)
  })
}

test('switchover --wait says when its time is over, and that counts for --strict', async () => {
  const scene = await ctlScene([])
  const running = switchover(scene.context, undefined, { ...order, action: 'switchover' })
  await scene.clock.advance(301_000)
  await running
  assert.match(scene.terminal.printed, /^Not every member is back yet$/m)
  assert.equal(scene.refusals(), 1)
})

test('a switchover that was refused, or is scheduled, is not waited for', async () => {
  const refused = await ctlScene([], { code: 412, text: 'no' })
  await switchover(refused.context, undefined, { ...order, action: 'switchover' })
  const scheduled = await ctlScene([], { code: 202, text: 'Switchover scheduled' })
  await switchover(scheduled.context, undefined, {
    ...order,
    action: 'switchover',
    scheduled: '2037-01-01T10:00+00:00',
  })
  assert.deepEqual([refused.clock.monotonicMs(), scheduled.clock.monotonicMs()], [0, 0])
})

const wanted = {
  scope: 'main',
  names: ['pg2'],
  role: 'any',
  force: true,
  any: false,
  scheduled: undefined,
  olderThan: undefined,
  pendingOnly: false,
  timeout: undefined,
  wait: true,
} as const

test('restart --wait ends when the members run and nothing is pending for them', async () => {
  const pending = { 'members/pg2': key('replica', 3, { pending_restart: true }) }
  const scene = await ctlScene([], { code: 200, text: 'restarted successfully' }, pending)
  const running = restart(scene.context, wanted)
  await scene.clock.advance(2_000)
  assert.doesNotMatch(scene.terminal.printed, /All restarted members/)
  await put(scene, { 'members/pg2': key('replica', 3) })
  await ended(scene, running)
  assert.match(
    scene.terminal.printed,
    /^Success: restart on member pg2\nAll restarted members are running\n$/m,
  )
  assert.equal(scene.refusals(), 0)
})

test('restart --wait says when its time is over, and that counts for --strict', async () => {
  const scene = await ctlScene(
    [],
    { code: 200, text: 'restarted successfully' },
    {
      'members/pg2': key('replica', 3, { state: 'starting' }),
    },
  )
  const running = restart(scene.context, wanted)
  await scene.clock.advance(601_000)
  await running
  assert.match(scene.terminal.printed, /Not all restarted members are running\n$/)
  assert.equal(scene.refusals(), 1)
})
